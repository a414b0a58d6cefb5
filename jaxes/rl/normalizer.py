"""Running mean and variance of observations, frozen within a generation.

A generation's observations are summed around a common center in the loop's carry, so that they are never kept in an
array. The sums are merged into the running moments afterwards (Chan, Golub, LeVeque 1983).

One number from a simulation that has exploded would outweigh all others for ever. So an observation counts only where
each of its numbers lies within `REACH` standard deviations (or 1, if it is more) of the mean, or as long as nothing is
known, within `REACH` of the first one, or within half of it of 0 where the first one itself is further away (so that
no limit cuts through numbers that are far from 0 and close to each other). Others are left out and counted, as NaN and
infinite ones are. But what comes again and again is no accident: with every generation in which observations lie
further away the reach grows tenfold, and a thousandfold where they are more than a quarter, until they count; without
such generations it slowly shrinks to what it was. What is further away than `FARTHEST` never counts, so that the
squares of 10^12 observations have a sum in float32.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

REACH = 1e3  # standard deviations, or units
FARTHEST = 1e13
_GROWTH = 10.0  # of the reach in a generation in which some were too far away
_LEAP = 1e3  # where they were many
_MANY = 0.25  # of a generation's observations
_SHRINKAGE = 0.95  # of the reach in any other: what comes less often than in one of 45 stays an accident


class Normalizer(NamedTuple):
    """The moments of all observations so far, and how they are used.

    The count is float32: it loses precision late, but never overflows.
    """

    count: jax.Array  # float32[]
    mean: Any  # float32, like the observation
    squares: Any  # float32, like the observation: sum of squared distances from the mean
    limit: jax.Array  # float32[]: normalized observations are clipped to [-limit, limit]
    floor: jax.Array  # float32[]: the least standard deviation
    reach: jax.Array  # float32[]: standard deviations within which observations count, at least `REACH`


class Moments(NamedTuple):
    """The sums of one generation, which add up over lanes, steps, blocks and devices."""

    counts: jax.Array  # uint32[3]: observations that count; those left out; those of them within `FARTHEST`
    total: Any  # sum of (observation - center)
    squares: Any  # sum of (observation - center)^2
    center: Any  # the center, added once for every part
    parts: jax.Array  # float32[]: how many parts (blocks) were added up

    @property
    def count(self) -> jax.Array:  # pyrefly: ignore[bad-override]
        """uint32[]: observations in the sums."""
        return self.counts[0]

    @property
    def invalid(self) -> jax.Array:
        """uint32[]: observations left out."""
        return self.counts[1]


class Preset(NamedTuple):
    """The settings that go by a name."""

    limit: float = 5.0
    floor: float = 0.1
    share: float = 1.0  # the part of the episodes that it learns from


PRESETS = {
    "on": Preset(),
    # OpenAI's code for Salimans et al. 2017: calc_obstat_prob 0.01, clipped at 5, variance at least 0.01.
    "salimans": Preset(share=0.01),
    # Mania et al. 2018, section 3.2: every state counts, nothing is clipped.
    "ars": Preset(limit=FARTHEST, floor=1e-7),
}


def init(observation: Any, preset: str = "on") -> Normalizer:
    """A normalizer that has seen nothing, and so assumes mean 0 and standard deviation 1.

    Args:
        observation: a tree of arrays or of `jax.ShapeDtypeStruct`.
        preset: "on" (it learns from every episode, clips at 5, and takes a standard deviation of at least 0.1),
            "salimans" (it learns from one episode in a hundred) or "ars" (it clips nothing below 10^13).

    >>> import jax, jax.numpy as jnp
    >>> new = init(jax.ShapeDtypeStruct((3,), jnp.float32))
    >>> normalize(new, jnp.array([0.0, 1.0, 9.0])).tolist()
    [0.0, 1.0, 5.0]
    """
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), observation)
    limit, floor, _ = PRESETS[preset]
    return Normalizer(jnp.float32(0), zero, zero, jnp.float32(limit), jnp.float32(floor), jnp.float32(REACH))


def no_moments(normalizer: Normalizer) -> Moments:
    """The sums before the first observation, around the mean so far."""
    zero = jax.tree.map(jnp.zeros_like, normalizer.mean)
    return Moments(jnp.zeros(3, jnp.uint32), zero, zero, normalizer.mean, jnp.float32(1))


def around(moments: Moments, normalizer: Normalizer, probe: Any) -> Moments:
    """Move the center to the observation `probe`, if the normalizer has seen nothing yet and its numbers are in reach.

    Sums around 0 would lose the variance of observations that are far from 0. `moments` must not have any yet.
    """
    known = normalizer.count > 0

    def middle(mean, x):
        return jnp.where(known, mean, first_center(x.astype(jnp.float32), normalizer.reach, jnp))

    return moments._replace(center=jax.tree.map(middle, normalizer.mean, probe))


def reach(normalizer: Normalizer, center: Any) -> Any:
    """How far from the center of its sums a number of an observation may be: a tree of float32 like the observation."""
    known, most = normalizer.count > 0, normalizer.reach

    def one(std, center):
        return jnp.where(known, within(most, std, jnp), first_reach(center, most, jnp))

    return jax.tree.map(one, deviation(normalizer), center)


def first_center(probe: Any, reach: Any, xp: Any = np) -> Any:
    """The center while nothing is known: the observation `probe`, or 0 where its numbers are out of reach or NaN."""
    return xp.where(xp.abs(probe) <= reach, probe, 0)


def first_reach(center: Any, reach: Any, xp: Any = np) -> Any:
    """How far from the `first_center` a number may be: `reach`, and half of it around 0, up to `FARTHEST`."""
    return xp.where((center == 0) & (reach < FARTHEST), reach * 0.5, xp.minimum(reach, FARTHEST))


def within(reach: Any, spread: Any, xp: Any = np) -> Any:
    """`reach` times the spread of a number, which is taken to be 1 or more; `FARTHEST` at most."""
    return xp.minimum(reach * xp.maximum(spread, 1), FARTHEST)


def observe(normalizer: Normalizer, moments: Moments, observations: Any, mask: jax.Array) -> Moments:
    """Add the observations of a step, leaves [lanes, ...], where `mask` (bool[lanes]) is true and all are in reach."""
    chex.assert_rank(mask, 1)
    chex.assert_tree_shape_prefix(observations, mask.shape)
    distance = jax.tree.map(lambda x, center: x.astype(jnp.float32) - center[None], observations, moments.center)
    limits = reach(normalizer, moments.center)
    near = mask & (_largest(jax.tree.map(lambda d, most: d * (1 / most)[None], distance, limits)) <= 1)
    left_out = mask & ~near
    kinds = jnp.stack([near, left_out, left_out & (_largest(distance) <= FARTHEST)])
    distance = jax.tree.map(lambda d: jnp.where(near.reshape(-1, *(1,) * (d.ndim - 1)), d, 0), distance)
    return moments._replace(
        counts=moments.counts + jnp.sum(kinds, axis=1, dtype=jnp.uint32),  # one sum, since each takes a kernel
        total=jax.tree.map(lambda s, d: s + jnp.sum(d, axis=0), moments.total, distance),
        squares=jax.tree.map(lambda s, d: s + jnp.sum(d * d, axis=0), moments.squares, distance),
    )


def _largest(rows: Any) -> jax.Array:
    """float32[lanes]: the largest size of a number in each row of the leaves [lanes, ...]; NaN if there is a NaN."""
    sizes = [jnp.max(jnp.abs(x), axis=tuple(range(1, x.ndim))) for x in jax.tree.leaves(rows)]
    return functools.reduce(jnp.maximum, sizes)


def update(normalizer: Normalizer, moments: Moments) -> Normalizer:
    """The normalizer that has also seen a generation with these sums."""
    chex.assert_trees_all_equal_shapes(normalizer.mean, moments.total, moments.squares, moments.center)
    new_count = moments.count.astype(jnp.float32)
    count = normalizer.count + new_count
    per_part, per_new, per_all = 1 / moments.parts, 1 / jnp.maximum(new_count, 1), 1 / jnp.maximum(count, 1)

    def merge(mean, squares, total, new, center):
        inside = jnp.maximum(new - total * total * per_new, 0)  # around the new observations' own mean
        apart = center * per_part - mean + total * per_new  # from the old mean to theirs
        share = new_count * per_all
        return mean + apart * share, squares + inside + apart * apart * (normalizer.count * share)

    merged = jax.tree.map(merge, normalizer.mean, normalizer.squares, moments.total, moments.squares, moments.center)
    mean, squares = jax.tree.transpose(jax.tree.structure(normalizer.mean), jax.tree.structure((0, 0)), merged)
    far = moments.counts[2].astype(jnp.float32)
    growth = jnp.where(far > _MANY * (far + new_count), _LEAP, jnp.where(far > 0, _GROWTH, _SHRINKAGE))
    reach = jnp.clip(normalizer.reach * growth, REACH, FARTHEST)
    return normalizer._replace(count=count, mean=mean, squares=squares, reach=reach)


def deviation(normalizer: Normalizer) -> Any:
    """The standard deviations, a tree like the observation; none is below the floor."""
    known, share = normalizer.count > 0, 1 / jnp.maximum(normalizer.count, 1)
    least = normalizer.floor**2
    return jax.tree.map(lambda q: jnp.where(known, jnp.sqrt(jnp.maximum(q * share, least)), 1), normalizer.squares)


def normalizing(normalizer: Normalizer) -> Callable[[Any], Any]:
    """The function `(observation - mean) / deviation`, clipped to [-limit, limit]; NaN stays NaN."""
    scale = jax.tree.map(lambda std: 1 / std, deviation(normalizer))
    limit = normalizer.limit
    one = lambda x, mean, by: jnp.clip((x.astype(jnp.float32) - mean) * by, -limit, limit)
    return lambda observation: jax.tree.map(one, observation, normalizer.mean, scale)


def normalize(normalizer: Normalizer, observation: Any) -> Any:
    """Normalize one observation, a tree of arrays."""
    return normalizing(normalizer)(observation)
