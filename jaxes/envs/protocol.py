"""What an environment is: two pure functions, and the shapes of observations and actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Box(NamedTuple):
    """Actions that are float32 arrays between `low` and `high` (float32 arrays of one shape, NumPy's)."""

    low: np.ndarray
    high: np.ndarray


class Discrete(NamedTuple):
    """Actions that are one of the integers 0, ..., n - 1: `step` gets an int32[]."""

    n: int


class MultiDiscrete(NamedTuple):
    """Actions that are vectors of integers, int32[len(counts)]: the i-th one is one of 0, ..., counts[i] - 1."""

    counts: tuple[int, ...]


class EnvState(NamedTuple):
    """One moment of one environment.

    Args:
        physics: whatever the environment needs for its next step, a tree of arrays.
        observation: what a policy sees, an array or a tree of arrays.
        reward: float32[]: for the step that led here; 0 after a reset.
        done: bool[]: whether the episode has ended here by the environment's own rule. Time limits are the rollout's.
    """

    physics: Any  # whatever the environment needs for its next step
    observation: Any  # an array, or a tree of arrays
    reward: jax.Array  # float32[]: for the step that led here
    done: jax.Array  # bool[]: the episode has ended here by the environment's own rule


class Env(NamedTuple):
    """An environment that neither resets itself nor limits time: the rollout does both.

    Both functions handle one environment and go through `jit` and `vmap`. The environment may still be stepped after
    `done`, but what it returns then means nothing.

    Args:
        name: such as "me/Sled", for messages.
        reset: `reset(key) -> EnvState`, the first moment of an episode.
        step: `step(state, action) -> EnvState`, the next moment; shapes and dtypes stay those of `reset`.
        observation: a tree of `jax.ShapeDtypeStruct`, the shapes of what `reset` and `step` show.
        action: what `step` is given: a `Box` of float32 arrays, a `Discrete` (int32[]) or a `MultiDiscrete`.
        max_steps: the usual time limit of an episode, in steps.
        step_seconds: simulated seconds of one step, for the speed of films; 0 if it simulates no time.
        frames: `frames([physics, ...]) -> [picture, ...]`, uint8[height, width, 3]; without it there are no films.
        html: `html([physics, ...], seconds between two) -> page`.
        lanes: only of environments in Python processes, see `jaxes.envs.host`, whose `reset` and `step` only raise.
        film: likewise, `film(seed, actions, every) -> [picture, ...]`.

    One of your own takes ten lines:

    >>> import jax, jax.numpy as jnp, numpy as np, jaxes
    >>> from jaxes.envs import Box, Env, EnvState
    >>> def see(position, reward):
    ...     return EnvState(position, position[None], reward, done=jnp.abs(position) > 5)
    >>> def reset(key):
    ...     return see(jax.random.uniform(key, minval=-2.0, maxval=2.0), jnp.float32(0))
    >>> def step(state, action):
    ...     position = state.physics + 0.1 * action[0]
    ...     return see(position, -jnp.abs(position))
    >>> limit, seen = np.ones(1, np.float32), jax.ShapeDtypeStruct((1,), jnp.float32)
    >>> env = jaxes.envs.check(Env("me/Point", reset, step, seen, Box(-limit, limit), max_steps=50))
    >>> state = env.step(env.reset(jax.random.key(0)), jnp.ones(1))
    >>> state.observation.shape, state.reward.dtype, bool(state.done)
    ((1,), dtype('float32'), False)

    `jaxes.envs.register("me/Point", lambda: env)` gives it a name, `jaxes train MODULE:env` finds it in a module.
    """

    name: str
    reset: Callable[[jax.Array], EnvState]  # (key) -> state
    step: Callable[[EnvState, jax.Array], EnvState]  # (state, action) -> state
    observation: Any  # tree of jax.ShapeDtypeStruct
    action: Box | Discrete | MultiDiscrete
    max_steps: int  # the usual time limit of an episode, in steps
    step_seconds: float = 0.0  # simulated seconds of one step, 0 if it simulates no time
    frames: Callable[..., list[np.ndarray]] | None = None  # ([physics, ...]) -> pictures uint8[height, width, 3]
    html: Callable[[list[Any], float], str] | None = None  # ([physics, ...], seconds between two) -> a page
    # For environments that run in Python processes (`jaxes.envs.host`), whose reset and step only raise:
    lanes: Callable[[int], Any] | None = None  # (count) -> Lanes
    film: Callable[..., list[np.ndarray]] | None = None  # (seed, actions, every) -> pictures


def observation_size(env: Env) -> int:
    """How many numbers one observation has.

    >>> import jaxes
    >>> observation_size(jaxes.envs.make("jaxes/cartpole_swingup"))
    5
    """
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(env.observation))


def action_size(env: Env) -> int:
    """How many numbers one action of a `Box` or a `MultiDiscrete` has, or how many choices there are in a `Discrete`.

    >>> import jaxes
    >>> action_size(jaxes.envs.make("jaxes/CyclicMDP"))
    3
    """
    match env.action:
        case Discrete(n):
            return n
        case MultiDiscrete(counts):
            return len(counts)
        case Box(low, _):
            return int(np.prod(low.shape))
