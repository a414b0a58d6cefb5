"""Play episodes of an environment with a planner."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs import contract
from jaxes.envs.protocol import Box, Env
from jaxes.planning.cem_mpc import Planner
from jaxes.planning.simulator import simulator
from jaxes.support import checks, keys
from jaxes.support.keys import Stream


class Episode(NamedTuple):
    """An episode that was played; rewards after its end are 0."""

    score: jax.Array  # float32[]: the sum of rewards
    length: jax.Array  # int32[]: steps
    rewards: jax.Array  # float32[steps]
    actions: jax.Array  # float32[steps, *action]
    observations: Any  # leaves [steps, ...]: what was seen before each action
    moments: Any  # the physics of the states, leaves [steps, ...]; None unless recorded


def episode(
    env: Env,
    planner: Planner,
    *,
    steps: int | None = None,
    exploration: float = 0.0,
    look: Callable[[Any], Any] = lambda state: state,
    record: bool = False,
) -> Callable[[jax.Array], Episode]:
    """Play an episode in which every step makes a plan and does its first action.

    Args:
        env: where the actions are done.
        planner: from `jaxes.planning.cem_mpc`; with a warm start, each plan begins with the belief of the last.
        steps: length of the episode; the environment's time limit by default.
        exploration: standard deviation of Gaussian noise on the actions, in units of half their range (PlaNet: 0.3
            while it collects data); the sums are clipped to the range.
        look: from the environment's `EnvState` to the state in which the planner's model starts; by default the same
            state. For a model of observations give `lambda state: state.observation`.
        record: whether to keep the physics of the states, to draw them with `env.frames`.

    Returns:
        `fn(key) -> Episode`, to be jitted, or `vmap`ped over keys.

    Raises:
        ValueError: if actions are choices, or numbers make no sense.

    >>> import jax, jaxes
    >>> from jaxes import planning
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> planner = planning.random_shooting(*planning.simulator(env), horizon=3, candidates=4, action=env.action)
    >>> played = jax.jit(planning.episode(env, planner, steps=5))(jax.random.key(0))
    >>> played.actions.shape, int(played.length)
    ((5, 1), 5)
    """
    env = contract.checked(env)
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
