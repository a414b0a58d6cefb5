"""What a rollout counts: the sums of one generation, and the state that they are added to."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxes.rl import normalizer as norm
from jaxes.rl.cap import Cap
from jaxes.rl.episodes import Episodes
from jaxes.schedules import Number, follow
from jaxes.support.counter import Counter


class State(NamedTuple):
    """The state of the problem that `jaxes.rl.rollout` makes."""

    normalizer: norm.Normalizer | None  # None if observations are not normalized
    steps: Counter  # environment steps so far
    episodes: Counter
    truncated: Counter  # episodes ended by the time limit
    lane_steps: Counter  # steps that lanes took, including those after an episode's end
    invalid_observations: Counter  # NaN, infinite or far from all others: the normalizer has left them out
    generation: jax.Array  # int32[]: generations so far
    shift: jax.Array  # float32[]: subtracted from every reward
    cap: Cap  # the time limit


class Sums(NamedTuple):
    """What one generation adds to the state: additive over members, blocks and devices."""

    moments: Any  # of the observations, or () without a normalizer
    steps: jax.Array  # uint32[]
    episodes: jax.Array  # uint32[]
    truncated: jax.Array  # uint32[]
    lane_steps: jax.Array  # uint32[]
    invalid_observations: jax.Array  # uint32[]: 0 without a normalizer


COUNTERS = ("steps", "episodes", "truncated", "lane_steps", "invalid_observations")

RATIOS = {
    "episode_length": ("steps", "episodes"),
    "truncated_share": ("truncated", "episodes"),
    "utilization": ("steps", "lane_steps"),
}
"""The metrics that are quotients of two counters."""


def begin(normalizer: norm.Normalizer | None, shift: jax.Array, cap: Cap) -> State:
    """The state before the first generation."""
    zero = Counter.zero()
    counts = dict.fromkeys(COUNTERS, zero)
    return State(normalizer=normalizer, **counts, generation=jnp.int32(0), shift=shift, cap=cap)


def settle(episodes: Episodes) -> tuple[jax.Array, Sums]:
    """The fitness of each member, which is its mean return over all its episodes, and the sums of the generation.

    Args:
        episodes: leaves [m, e], m members with e slots each. NumPy arrays of float64, as they come from worker
            processes, are averaged in float64.

    Returns:
        float32[m], and the sums.
    """
    chex.assert_equal_shape([episodes.returns, episodes.lengths, episodes.episodes, episodes.truncated])
    total = lambda x: jnp.sum(x, dtype=jnp.uint32)
    sums = Sums(
        episodes.moments,
        total(episodes.lengths),
        total(episodes.episodes),
        total(episodes.truncated),
        episodes.lane_steps,
        getattr(episodes.moments, "invalid", jnp.uint32(0)),
    )
    returns, count = episodes.returns.sum(axis=1), episodes.episodes.sum(axis=1)
    if isinstance(returns, np.ndarray):
        fitness = jnp.asarray(returns / count, jnp.float32)
    else:
        fitness = returns * (1 / count.astype(jnp.float32))
    return fitness, sums


def update(state: State, sums: Sums, shift: Number) -> State:
    """The state after a generation; `shift` is a number or an optax schedule over generations."""
    return State(
        normalizer=None if state.normalizer is None else norm.update(state.normalizer, sums.moments),
        **{name: getattr(state, name).plus(getattr(sums, name)) for name in COUNTERS},
        generation=state.generation + 1,
        shift=follow(shift, state.shift, state.generation + 1),
        cap=state.cap.update(sums.episodes, sums.truncated, sums.steps),
    )


def counters(state: State) -> dict[str, Counter]:
    """The totals of a run by the names that its metrics have."""
    return {name: getattr(state, name) for name in COUNTERS}
