"""Frame skip: an action is held for several steps."""

import functools
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxes.envs import contract
from jaxes.envs.host import Repeated
from jaxes.envs.protocol import Env, EnvState
from jaxes.support import checks


def repeated(env: Env, times: int) -> Env:
    """The same environment with every action held for `times` steps, whose rewards are added up.

    A longer step ends early if the episode does; after that a step does nothing and its reward is 0.

    Args:
        env: any environment.
        times: how many of its steps make a longer one.

    Returns:
        An environment with the same observations and actions. Its time limit counts longer steps: that of `env` over
        `times`, rounded up.

    Raises:
        ValueError: if `times` is not an int of 1 or more.

    >>> import jaxes
    >>> env = jaxes.envs.repeated(jaxes.envs.make("jaxes/cartpole_swingup"), 4)
    >>> env.max_steps, env.step_seconds, env.observation.shape
    (250, 0.04, (5,))
    """
    contract.fields(env)
    checks.count("times", times)
    if times == 1:
        return env

    def step(state: EnvState, action) -> EnvState:
        def going(carry):
            t, state, _ = carry
            return (t < times) & ~state.done

        def once(carry):
            t, state, total = carry
            state = env.step(state, action)
            return t + 1, state, total + state.reward

        _, state, total = lax.while_loop(going, once, (jnp.int32(0), state, jnp.float32(0)))
        return state._replace(reward=total)

    longer = env._replace(
        name=f"{env.name} x{times}",
        max_steps=-(-env.max_steps // times),
        step_seconds=env.step_seconds * times,
    )
    if env.lanes is not None:
        film = None if env.film is None else functools.partial(_film, env.film, times)
        return longer._replace(lanes=functools.partial(Repeated, env.lanes, times), film=film)
    return longer._replace(step=step)


def _film(film: Any, times: int, seed: int, actions: list[Any], every: int) -> list[Any]:
    return film(seed, [action for action in actions for _ in range(times)], every * times)
