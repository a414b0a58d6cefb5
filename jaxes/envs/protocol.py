"""What an environment is: two pure functions and the shapes of what goes in and out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Box(NamedTuple):
    """Vectors between `low` and `high` (float32 arrays of one shape)."""

    low: np.ndarray
    high: np.ndarray


class Discrete(NamedTuple):
    """One of the integers 0, ..., n - 1."""

    n: int


class EnvState(NamedTuple):
    """One moment of one environment."""

    physics: Any  # whatever the environment carries
    observation: Any  # array, or tree of arrays
    reward: jax.Array  # float32[]: for the step that led here
    done: jax.Array  # bool[]: the episode ended here by the environment's own rule


class Env(NamedTuple):
    """An environment, raw: it neither resets itself nor limits time; whoever rolls it out does.

    Both functions handle one environment and go through `jit` and `vmap`. After `done` the environment may still be
    stepped; what it then returns means nothing.
    """

    name: str
    reset: Callable[[jax.Array], EnvState]  # (key) -> state
    step: Callable[[EnvState, jax.Array], EnvState]  # (state, action) -> state
    observation: Any  # tree of jax.ShapeDtypeStruct
    action: Box | Discrete
    max_steps: int  # the usual time limit of an episode, in steps
    step_seconds: float = 0.0  # simulated seconds of one step, 0 if it has no such thing
    frames: Callable[..., list[np.ndarray]] | None = None  # ([physics, ...]) -> pictures uint8[height, width, 3]
    html: Callable[[list[Any], float], str] | None = None  # ([physics, ...], seconds between two) -> a page
    # Of an environment that runs in Python processes, see `jaxes.envs.host`; its reset and step only raise.
    lanes: Callable[[int], Any] | None = None  # (count) -> Lanes
    film: Callable[..., list[np.ndarray]] | None = None  # (seed, actions, every) -> pictures


def observation_size(env: Env) -> int:
    """Numbers in one observation."""
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(env.observation))


def action_size(env: Env) -> int:
    """Numbers in one action of a `Box`, or choices of a `Discrete`."""
    return env.action.n if isinstance(env.action, Discrete) else int(np.prod(env.action.low.shape))
