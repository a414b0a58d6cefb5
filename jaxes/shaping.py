"""Fitness shaping: from one fitness per member to one weight per member.

A shaping is a function float[n] -> float[n] of the same dtype. Higher fitness is better. Rank-based shapings depend on
the order only: ties share their weight, NaN ranks below everything and `-inf` just above it. Value-based ones read NaN
and `-inf` as the lowest, and `+inf` as the highest, finite fitness of the generation.

>>> import jax.numpy as jnp
>>> centered_rank()(jnp.array([3.0, 1.0, 2.0])).tolist()
[0.5, -0.5, 0.0]
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.support import checks, ranking
from jaxes.support.memoized import memoized

Shaping = Callable[[jax.Array], jax.Array]


@memoized
def centered_rank() -> Shaping:
    """Ranks mapped linearly to [-1/2, 1/2] (Salimans et al. 2017, section 2); ties share their mean rank."""

    def shape(fitness):
        first, last = ranking.tied_ranks(fitness)
        n = fitness.shape[0]
        from_best = (first + last).astype(fitness.dtype) * (0.5 / (n - 1))
        return 0.5 - from_best

    return shape


@memoized
def normalized_rank() -> Shaping:
    """`(rank - 1) / (n - 1) - 1/2` with rank 1 for the worst and mean ranks for ties.

    The name of `centered_rank` in tutorials; the same weights.
    """
    return centered_rank()


@memoized
def centered_sign_rank() -> Shaping:
    """`centered_rank` of the fitness's sign (`return_proc_mode` "centered_sign_rank" of OpenAI's code)."""
    rank = centered_rank()
    return lambda fitness: rank(jnp.sign(fitness))


@memoized
def sign() -> Shaping:
    """The fitness's sign (`return_proc_mode` "sign" of OpenAI's code)."""
    return lambda fitness: jnp.sign(finite(fitness))


@memoized
def identity() -> Shaping:
    """The fitness itself."""
    return _affine(lambda fitness: finite(fitness))


@memoized
def z_score() -> Shaping:
    """`(f - mean) / std` over the generation; zero for a flat one."""

    def shape(fitness):
        values = finite(fitness)
        centered = values - jnp.mean(values)
        # Scaled by the largest value first, so that the square neither overflows nor vanishes.
        largest = jnp.max(jnp.abs(centered))
        scaled = centered * (1 / jnp.where(largest > 0, largest, 1))
        deviation = jnp.sqrt(jnp.mean(scaled**2))
        return scaled * (1 / jnp.where(deviation > 0, deviation, 1))

    return _affine(shape)


@memoized
def nes_utilities() -> Shaping:
    """Utilities of natural evolution strategies (Wierstra et al. 2014, section 3.1): sum zero, worse half alike.

    `u_k = max(0, ln(n/2 + 1) - ln k) / sum_j(...) - 1/n` for the k-th best of n.
    """

    def shape(fitness):
        n = fitness.shape[0]
        raw = np.maximum(0.0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
        return ranking.share(jnp.asarray(raw / raw.sum() - 1 / n, fitness.dtype), fitness)

    return shape


@memoized
def top(k: int) -> Shaping:
    """`1/k` for the k best, 0 for the rest (truncation selection); ties at the border share, NaN gets nothing."""
    checks.count("k", k)

    def shape(fitness):
        n = fitness.shape[0]
        if k > n:
            raise ValueError(f"k must be at most the population size {n}, got {k}")
        return ranking.recombination(jnp.asarray((np.arange(n) < k) / k, fitness.dtype), fitness)

    return shape


@memoized
def boltzmann(temperature: float = 1.0) -> Shaping:
    """`exp(f / temperature)` with sum 1, the weights of MPPI (Williams et al. 2017); NaN gets nothing.

    Args:
        temperature: above 0, in units of the fitness; towards 0 the best member gets everything.
    """
    checks.real("temperature", temperature, "above 0", lambda x: x > 0)

    def shape(fitness):
        valid = ~jnp.isnan(fitness)
        best = jnp.max(jnp.where(valid, fitness, -jnp.inf))
        raw = jnp.where(fitness == best, 1, jnp.exp((fitness - best) * (1 / temperature)))
        raw = jnp.where(valid, raw, 0)
        total = jnp.sum(raw)
        return raw * (1 / jnp.where(total > 0, total, 1))

    return shape


def _affine(shape: Shaping) -> Shaping:
    shape.affine = True  # pyrefly: ignore[missing-attribute]
    return shape


def is_affine(shaping: Shaping) -> bool:
    """Whether weights are `c * fitness + d` with one `c` and `d` for a generation, where all fitness is finite."""
    return getattr(shaping, "affine", False)


def slope(weights: jax.Array, fitness: jax.Array) -> jax.Array:
    """The `c` of an affine shaping: what a weight grows by with fitness; 0 where all fitness is the same.

    >>> slope(jnp.array([-1.0, 1.0, 0.0]), jnp.array([2.0, 6.0, 4.0])).item()
    0.5
    """
    low, high = jnp.argmin(fitness), jnp.argmax(fitness)
    range_ = fitness[high] - fitness[low]
    return jnp.where(range_ > 0, (weights[high] - weights[low]) / jnp.where(range_ > 0, range_, 1), 0)


def finite(fitness: jax.Array) -> jax.Array:
    """NaN and `-inf` become the lowest, `+inf` the highest finite value; all zero if there is none."""
    fine = jnp.isfinite(fitness)
    low = jnp.min(jnp.where(fine, fitness, jnp.inf))
    high = jnp.max(jnp.where(fine, fitness, -jnp.inf))
    some = jnp.any(fine)
    low, high = jnp.where(some, low, 0), jnp.where(some, high, 0)
    return jnp.where(fine, fitness, jnp.where(fitness == jnp.inf, high, low))


SHAPINGS: dict[str, Callable[[], Shaping]] = {
    make.__name__: make
    for make in (centered_rank, normalized_rank, centered_sign_rank, sign, identity, z_score, nes_utilities)
}
