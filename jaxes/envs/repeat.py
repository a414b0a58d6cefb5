"""Frame skip: an action lasts for several steps."""

import functools
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxes.envs.host import Repeated
from jaxes.envs.protocol import Env, EnvState
from jaxes.support import checks


def repeated(env: Env, times: int) -> Env:
    """The environment in which every action is held for `times` steps.

    Rewards add up. A step ends early where the episode is done; after that it does nothing and is worth 0. The time
    limit is that of `env` in longer steps, rounded up.

    Raises:
        ValueError: if `times` is not an int of 1 or more.

    >>> import jaxes
    >>> env = jaxes.envs.repeated(jaxes.envs.make("brax/inverted_pendulum"), 4)
    >>> env.max_steps, round(env.step_seconds, 3)
    (250, 0.08)
    """
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
