"""Fitness shaping: from one fitness per member to one weight per member.

A shaping is a function float[n] -> float[n] of the same dtype; higher fitness is better. A rank-based shaping depends
on the order of the members only: ties share their weight, NaN ranks below everything and `-inf` just above NaN. A
value-based shaping reads NaN and `-inf` as the lowest finite fitness of the generation, and `+inf` as the highest.

>>> import jax.numpy as jnp
>>> centered_rank()(jnp.array([3.0, 1.0, 2.0])).tolist()
[0.5, -0.5, 0.0]
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.support import checks, ranking
from jaxes.support.memoized import given, memoized
from jaxes.support.numerals import in_order

Shaping = Callable[[jax.Array], jax.Array]


@memoized
def centered_rank() -> Shaping:
    """Ranks mapped linearly to [-1/2, 1/2] (Salimans et al. 2017, section 2); ties share their mean rank.

    >>> centered_rank()(jnp.array([3.0, 1.0, 2.0, 2.0, jnp.nan])).tolist()
    [0.5, -0.25, 0.125, 0.125, -0.5]
    """

    def shape(fitness):
        first, last = ranking.tied_ranks(fitness)
        n = fitness.shape[0]
        from_best = (first + last).astype(fitness.dtype) * (0.5 / (n - 1))
        return 0.5 - from_best

    return shape


@memoized
def normalized_rank() -> Shaping:
    """`(rank - 1) / (n - 1) - 1/2`, where the worst member has rank 1 and ties share their mean rank.

    These are the weights of `centered_rank`, under the name that tutorials use.

    >>> normalized_rank()(jnp.array([3.0, 1.0, 2.0])).tolist()
    [0.5, -0.5, 0.0]
    """
    return centered_rank()


@memoized
def centered_sign_rank() -> Shaping:
    """`centered_rank` of the sign of the fitness (`return_proc_mode` "centered_sign_rank" of OpenAI's code).

    >>> centered_sign_rank()(jnp.array([3.0, -1.0, 5.0])).tolist()
    [0.25, -0.5, 0.25]
    """
    rank = centered_rank()
    return lambda fitness: rank(jnp.sign(fitness))


@memoized
def sign() -> Shaping:
    """The sign of the fitness (`return_proc_mode` "sign" of OpenAI's code).

    >>> sign()(jnp.array([3.0, -1.0, 0.0])).tolist()
    [1.0, -1.0, 0.0]
    """
    return lambda fitness: jnp.sign(finite(fitness))


@memoized
def identity() -> Shaping:
    """The fitness itself.

    >>> identity()(jnp.array([3.0, 1.0, jnp.nan])).tolist()
    [3.0, 1.0, 1.0]
    """
    return _affine(lambda fitness: finite(fitness))


@memoized
def z_score() -> Shaping:
    """`(f - mean) / std` over the generation; zero where all members have the same fitness.

    >>> z_score()(jnp.array([3.0, 1.0])).tolist()
    [1.0, -1.0]
    """

    def shape(fitness):
        values = 0.5 * finite(fitness)  # so that differences of the largest numbers are finite
        centered = values - jnp.sum(values * (1 / fitness.shape[0]))
        # Scaled by the largest value first, so that the square neither overflows nor vanishes.
        largest = jnp.max(jnp.abs(centered))
        scaled = centered * (1 / jnp.where(largest > 0, largest, 1))
        deviation = jnp.sqrt(jnp.mean(scaled**2))
        return scaled * (1 / jnp.where(deviation > 0, deviation, 1))

    return _affine(shape)


@memoized
def nes_utilities() -> Shaping:
    """The utilities of natural evolution strategies (Wierstra et al. 2014, section 3.1).

    The k-th best of n members weighs `u_k = max(0, ln(n/2 + 1) - ln k) / sum_j(...) - 1/n`: the weights sum to zero,
    and the worse half of the members weigh the same.

    >>> [round(x, 3) for x in nes_utilities()(jnp.array([4.0, 3.0, 2.0, 1.0])).tolist()]
    [0.48, 0.02, -0.25, -0.25]
    """

    def shape(fitness):
        n = fitness.shape[0]
        raw = np.maximum(0.0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
        return ranking.share(jnp.asarray(raw / raw.sum() - 1 / n, fitness.dtype), fitness)

    return shape


@memoized
def top(k: int) -> Shaping:
    """Truncation selection: `1/k` for the k best members, 0 for the rest.

    Members that tie across the border share what falls to them; NaN gets nothing.

    Args:
        k: how many members are selected, from 1 to the population size n of the fitness, float[n].

    Raises:
        ValueError: if k is not an int of 1 or more, or, when the shaping is used, if it is above n.

    >>> top(2)(jnp.array([3.0, 1.0, 2.0, 2.0])).tolist()
    [0.5, 0.0, 0.25, 0.25]
    """
    checks.integer("k", k, high=checks.LARGEST)

    def shape(fitness):
        n = fitness.shape[0]
        if k > n:
            raise ValueError(f"k must be at most the population size {n}, got {k}")
        return ranking.recombination(jnp.asarray((np.arange(n) < k) / k, fitness.dtype), fitness)

    return shape


@memoized
def boltzmann(temperature: float = 1.0) -> Shaping:
    """`exp(f / temperature)`, scaled to sum one: the weights of MPPI (Williams et al. 2017). NaN gets nothing.

    Args:
        temperature: a number above 0, in units of the fitness; as it goes to 0, the best member gets everything.

    >>> [round(x, 3) for x in boltzmann()(jnp.array([1.0, 0.0])).tolist()]
    [0.731, 0.269]
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
    """Whether all weights of a generation are `c * fitness + d` with the same numbers `c` and `d`.

    That holds for a fitness float[n] that is finite everywhere.

    >>> is_affine(z_score()), is_affine(centered_rank())
    (True, False)
    """
    return getattr(shaping, "affine", False)


def slope(weights: jax.Array, fitness: jax.Array) -> jax.Array:
    """The `c` of an affine shaping: how much a weight grows with the fitness; 0 where all members have the same.

    Args:
        weights: float[n], what the shaping has made of `fitness`.
        fitness: float[n], all finite.

    >>> slope(jnp.array([-1.0, 1.0, 0.0]), jnp.array([2.0, 6.0, 4.0])).item()
    0.5
    """
    low, high = jnp.argmin(fitness), jnp.argmax(fitness)
    range_ = fitness[high] - fitness[low]
    return jnp.where(range_ > 0, (weights[high] - weights[low]) / jnp.where(range_ > 0, range_, 1), 0)


def finite(fitness: jax.Array) -> jax.Array:
    """float[n]: NaN and `-inf` become the lowest finite value, `+inf` the highest; all zero if no value is finite.

    >>> finite(jnp.array([3.0, jnp.nan, 1.0, jnp.inf])).tolist()
    [3.0, 1.0, 1.0, 3.0]
    """
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


def shaping_of(shaping: Any, usual: Callable[[], Shaping] = centered_rank) -> Shaping:
    """The shaping that is meant.

    Args:
        shaping: a function float[n] -> float[n], the name of one in `SHAPINGS`, a factory such as `z_score`, or None.
        usual: makes what stands for None.

    >>> shaping_of("z_score") is z_score()
    True
    """
    return given("shaping", shaping, SHAPINGS, usual, callable)


def shaped(shaping: Shaping, fitness: Any, size: int, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Fitness that was told, and the weights that a shaping makes of it: of the doubles, where the host has them.

    Args:
        shaping: a function float[n] -> float[n].
        fitness: `size` numbers: an array, or a list of numbers.
        size: members per generation.
        dtype: of the results.

    Returns:
        Both dtype[size]; the fitness as of `checks.fitness`.

    Raises:
        ValueError: if the largest weight is too large or too small for the dtype, and as `checks.fitness` does.

    >>> shaped(z_score(), [1e8, 1e8 + 2], 2, jnp.float32)[1].tolist()
    [-1.0, 1.0]
    """
    told, order = checks.fitness(fitness, size, dtype)
    doubles = checks.wider(fitness, size, dtype)
    if doubles is None or np.array_equal(in_order(doubles, dtype), doubles, equal_nan=True):
        return told, shaping(order)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        exact = np.asarray(shaping(jnp.asarray(doubles)))
    largest, limits = np.nanmax(np.abs(exact)), jnp.finfo(dtype)
    if largest > limits.max or 0 < largest < limits.tiny:
        raise ValueError(
            f"fitness must hold numbers that {jnp.dtype(dtype)} has where this shaping takes their values, got at most "
            f"{np.nanmax(np.abs(doubles)):g}; scale it, take a shaping by rank, or search in float64 (jaxes.ESOpt)"
        )
    return told, jnp.asarray(exact.astype(dtype))
