"""What an environment is: two pure functions, and the shapes of observations and actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Box(NamedTuple):
    """Actions that are vectors between `low` and `high` (float32 arrays of one shape)."""

    low: np.ndarray
    high: np.ndarray


class Discrete(NamedTuple):
    """Actions that are one of the integers 0, ..., n - 1."""

    n: int


class MultiDiscrete(NamedTuple):
    """Actions that are vectors of integers: the i-th one is one of 0, ..., counts[i] - 1."""

    counts: tuple[int, ...]


class EnvState(NamedTuple):
    """One moment of one environment."""

    physics: Any  # whatever the environment needs for its next step
    observation: Any  # an array, or a tree of arrays
    reward: jax.Array  # float32[]: for the step that led here
    done: jax.Array  # bool[]: the episode has ended here by the environment's own rule


class Env(NamedTuple):
    """An environment that neither resets itself nor limits time: the rollout does both.

    Both functions handle one environment and go through `jit` and `vmap`. The environment may still be stepped after
    `done`, but what it returns then means nothing.

    >>> import jax, jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> state = jax.jit(env.step)(env.reset(jax.random.key(0)), jax.numpy.ones(1))
    >>> state.observation.shape, state.reward.dtype, bool(state.done)
    ((5,), dtype('float32'), False)
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
