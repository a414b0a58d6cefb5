"""Episodes of an environment under a planner."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Box, Env
from jaxes.planning.cem_mpc import Planner
from jaxes.planning.simulator import simulator
from jaxes.support import checks, keys
from jaxes.support.keys import Stream


class Episode(NamedTuple):
    """What came of it; rewards after its end are 0."""

    score: jax.Array  # float32[]: the sum of rewards
    length: jax.Array  # int32[]: steps
    rewards: jax.Array  # float32[steps]
    actions: jax.Array  # float32[steps, *action]
    observations: Any  # leaves [steps, ...]: what each action was taken at
    moments: Any  # the states' physics, leaves [steps, ...]; None unless asked for


def episode(
    env: Env,
    planner: Planner,
    *,
    steps: int | None = None,
    exploration: float = 0.0,
    look: Callable[[Any], Any] = lambda state: state,
    record: bool = False,
) -> Callable[[jax.Array], Episode]:
    """`fn(key) -> Episode`: plan at every step and do the first action. To be jitted, and `vmap`ped over keys.

    Args:
        env: where the actions are done.
        planner: from `jaxes.planning.cem_mpc`; with a warm start, a step begins with the last one's belief.
        steps: of the episode; the environment's time limit by default.
        exploration: standard deviation of Gaussian noise on the actions, in units of half their range (PlaNet: 0.3
            where it collects data); they are clipped then.
        look: from the environment's `EnvState` to the state that the planner's model starts from; the same by default,
            `lambda state: state.observation` for a model of observations.
        record: whether to keep the states' physics, for pictures: `env.frames`.

    Raises:
        ValueError: if actions are choices, or numbers make no sense.
    """
    go, reward = simulator(env)
    assert isinstance(env.action, Box)
    steps = env.max_steps if steps is None else steps
    checks.count("steps", steps)
    checks.number("exploration", exploration)
    low, high = jnp.asarray(env.action.low), jnp.asarray(env.action.high)

    def run(key):
        plans = keys.stream(key, Stream.PLAN)

        def step(carry, t):
            state, belief = carry
            now, other = jax.random.split(jax.random.fold_in(plans, t))
            action, after = planner(look(state), now, belief if planner.warm else None)
            if exploration:
                stray = exploration * 0.5 * (high - low) * jax.random.normal(other, action.shape)
                action = jnp.clip(action + stray, low, high)
            then = go(state, action)
            seen = (
                reward(state, action, then),
                ~state.done,
                action,
                state.observation,
                state.physics if record else None,
            )
            return (then, after if planner.warm else belief), seen

        carry = (env.reset(key), planner.start if planner.warm else None)
        _, (rewards, going, actions, seen, moments) = jax.lax.scan(step, carry, jnp.arange(steps, dtype=jnp.uint32))
        length = jnp.sum(going, dtype=jnp.int32)
        return Episode(jnp.sum(rewards), length, rewards, actions, seen, moments)

    return run
