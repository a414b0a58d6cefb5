"""When a search has ended: it can gain no more than a tolerance, or it can no longer move.

Hansen: "The CMA Evolution Strategy: A Tutorial", 2016, arXiv:1604.00772, appendix B.3, with the names and tolerances of
pycma. The criteria look at fitness values and at how far members are spread. Where `Strategy.deviations` gives the
search distribution, they look at that one, which wrappers that round or bound members leave as it is; else at the
members themselves, so they serve any strategy. Two of them, "condition" and "noeffectaxis", need the root of a
covariance, which `cma_es` and `ma_es` give.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.shaping import finite
from jaxes.strategy import Deviations
from jaxes.support import trees

REASONS = (
    "tolfun",  # the best values of the last generations and all of this one differ by no more than `fun`
    "tolfunhist",  # the best values of the last generations differ by no more than `fun_history`
    "tolx",  # no coordinate's standard deviation is above `x`
    "condition",  # the covariance's condition number is above `condition`
    "stagnation",  # neither the best nor the median value is better than it was long ago
    "noeffectaxis",  # a tenth of the shortest axis does not change the mean
    "noeffectcoord",  # a fifth of a coordinate's standard deviation does not change the mean
    "upsigma",  # the largest standard deviation has grown by more than `growth`: the first one was far too small
    "flat",  # this generation and the one before had the same value everywhere
    "invalid",  # no member had a value, as many times as `tolfun` looks back
)
RECORD = 1024  # generations at most that stagnation looks back
STAGNATION_EVERY = 16  # generations between two looks at it: it takes sorting
AXES_EVERY = 10  # generations between two looks at the axes, or twice the dimension: they take a decomposition


class Tolerances(NamedTuple):
    """Thresholds of the criteria: scalars. They are leaves of a state, so changing them compiles nothing.

    Attributes:
        fun: "tolfun", least range of the best values of the last generations and all values of this one.
        fun_history: "tolfunhist", least range of the best values of the last generations.
        x: "tolx", least standard deviation of a coordinate.
        condition: "condition", largest condition number of the covariance.
        growth: "upsigma", largest factor by which standard deviations may grow.
    """

    fun: float | jax.Array = 1e-11
    fun_history: float | jax.Array = 1e-12
    x: float | jax.Array = 1e-11
    condition: float | jax.Array = 1e14
    growth: float | jax.Array = 1e4


class Monitor(NamedTuple):
    """What the criteria remember of a search."""

    told: jax.Array  # int32[]: generations seen
    best: jax.Array  # float[record]: best fitness of each generation, the newest last
    median: jax.Array  # float[record]: median fitness
    deviation: jax.Array  # float[]: largest standard deviation of a coordinate in the first generation
    condition: jax.Array  # float[]: condition number of the covariance at the last look, 1 if there is no covariance
    shortest: jax.Array  # float[n]: its shortest axis then, in units of sigma
    flat: jax.Array  # int32[]: generations in a row that were flat
    invalid: jax.Array  # int32[]: generations in a row without any value


def start(params: Any, population_size: int) -> Monitor:
    """The monitor of a search that has not begun.

    Args:
        params: a tree of float arrays, or of their shapes.
        population_size: members per generation.

    >>> int(start(jnp.zeros(3), 8).told)
    0
    """
    dtype = trees.number_dtype(params)
    record = min(RECORD, 2 * stagnation_least(trees.size(params), population_size))
    old, zero, one = jnp.full(record, -jnp.inf, dtype), jnp.zeros((), dtype), jnp.ones((), dtype)
    shortest = jnp.ones(trees.size(params), dtype)
    return Monitor(jnp.int32(0), old, old, zero, one, shortest, jnp.int32(0), jnp.int32(0))


def watch(
    monitor: Monitor,
    tolerances: Tolerances,
    deviations: Deviations | None,
    population: Any,
    mean: Any,
    fitness: jax.Array,
) -> tuple[Monitor, jax.Array]:
    """Look at one generation.

    Args:
        monitor: from `start`, or from the last generation.
        tolerances: thresholds of the criteria.
        deviations: the strategy's, after `tell`; None for a strategy without them.
        population: the members, leaves [population_size, ...].
        mean: what the strategy recommends, after `tell`; read where `deviations` has no mean.
        fitness: float[population_size]; higher is better.

    Returns:
        The new monitor, and bool[len(REASONS)]: which criteria are met.

    >>> members, fitness = jnp.arange(4.0)[:, None], jnp.arange(4.0)
    >>> monitor, met = watch(start(jnp.zeros(1), 4), Tolerances(x=2.0), None, members, jnp.zeros(1), fitness)
    >>> [reason for reason, yes in zip(REASONS, met) if yes]  # no standard deviation is above 2
    ['tolx']
    """
    size, n, dtype = fitness.shape[0], trees.size(mean), monitor.best.dtype
    fitness = fitness.astype(dtype)
    some = jnp.any(~jnp.isnan(fitness))
    values = jnp.where(some, finite(fitness), 0)
    best, median, worst = jnp.max(values), jnp.median(values), jnp.min(values)
    push = lambda record, value: jnp.where(some, jnp.concatenate([record[1:], value[None]]), record)
    bests, medians = push(monitor.best, best), push(monitor.median, median)
    told = monitor.told + some.astype(jnp.int32)

    back = min(look_back(n, size), bests.shape[0])
    recent = bests[-back:]
    long_enough = told >= back
    history = jnp.max(recent) - jnp.min(recent)
    whole = jnp.maximum(jnp.max(recent), best) - jnp.minimum(jnp.min(recent), worst)

    if deviations is None:
        spread = jax.tree.map(lambda x: jnp.std(x.astype(dtype), axis=0), population)
    else:
        spread = jax.tree.map(lambda x: x.astype(dtype), deviations.coordinates)
        mean = mean if deviations.mean is None else deviations.mean
    deviation = jnp.max(jnp.stack([jnp.max(x) for x in jax.tree.leaves(spread)]))
    first = jnp.where(monitor.told == 0, deviation, monitor.deviation)
    exact = deviations is not None and deviations.exact
    pairs = zip(*map(jax.tree.leaves, (mean, spread)), strict=True)
    still = [jnp.any(_unmoved(m, 0.2 * s, exact)) for m, s in pairs]

    condition, shortest, stuck = monitor.condition, monitor.shortest, jnp.zeros((), bool)
    limit = jnp.minimum(jnp.asarray(tolerances.condition, dtype), 4 / jnp.finfo(dtype).eps)
    if deviations is not None and deviations.root is not None:
        root = deviations.root
        look = told % max(AXES_EVERY, 2 * n) == 0
        seen = (condition, shortest)
        condition, shortest = jax.lax.cond(look, lambda: _extent(root.astype(dtype)), lambda: seen)
        axis = 0.1 * deviations.sigma.astype(dtype) * shortest
        stuck = jnp.all(_unmoved(trees.ravel(mean, dtype), axis, exact))

    flat = jnp.where(some & (best == worst), monitor.flat + 1, 0)
    invalid = jnp.where(some, 0, monitor.invalid + 1)
    stagnant = jax.lax.cond(
        told % STAGNATION_EVERY == 0,
        lambda: _stagnant(bests, medians, told, stagnation_least(n, size)),
        lambda: jnp.zeros((), bool),
    )
    met = jnp.stack(
        [
            long_enough & (whole <= tolerances.fun),
            long_enough & (history <= tolerances.fun_history),
            deviation <= tolerances.x,
            condition > limit,
            stagnant,
            stuck,
            jnp.any(jnp.stack(still)),
            deviation > tolerances.growth * first,
            flat >= 2,
            invalid >= back,
        ]
    )
    return Monitor(told, bests, medians, first, condition, shortest, flat, invalid), met


def _extent(root: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The condition number of A A^T, and its shortest axis."""
    axes, lengths, _ = jnp.linalg.svd(root)
    ratio = lengths[0] / jnp.maximum(lengths[-1], jnp.finfo(root.dtype).tiny)
    return ratio**2, lengths[-1] * axes[:, -1]


def look_back(n: int, size: int) -> int:
    """How many generations have to be alike before a search has ended, of float[size] fitnesses for n coordinates.

    >>> look_back(10, 10)
    40
    """
    return 10 + math.ceil(30 * n / size)


def stagnation_least(n: int, size: int) -> int:
    """How many generations at least a look at stagnation goes back, over float[size] fitnesses for n coordinates.

    >>> stagnation_least(10, 10)
    150
    """
    return 120 + math.ceil(30 * n / size)


def _stagnant(bests, medians, told, least: int) -> jax.Array:
    """Whether, in both records, the newest 30 % of a window have no better median than its oldest 30 %.

    The window is a fifth of the search, at least 120 + 30 n / population_size generations.
    """
    record = bests.shape[0]
    window = jnp.clip(told // 5, min(least, record), record)
    part = jnp.maximum(3 * window // 10, 1)
    age = jnp.arange(record, 0, -1, dtype=jnp.int32)  # 1 is the newest
    new, old = age <= part, (age > window - part) & (age <= window)
    middle = lambda values, which: jnp.nanmedian(jnp.where(which, values, jnp.nan))
    no_better = [middle(values, new) <= middle(values, old) for values in (bests, medians)]
    return (told >= window) & no_better[0] & no_better[1]


def _unmoved(mean: jax.Array, step: jax.Array, exact: bool) -> jax.Array:
    """Where adding `step` to `mean` changes nothing: in the mean's precision, or in twice the digits if `exact`."""
    if exact:
        return jnp.abs(step) < jnp.finfo(mean.dtype).eps ** 2 * jnp.abs(mean).astype(step.dtype)
    return (mean + step.astype(mean.dtype)) == mean
