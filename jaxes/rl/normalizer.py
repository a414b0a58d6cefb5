"""Running mean and variance of observations, frozen within a generation.

Sums of a generation are taken around a common center, masked, and added up in the loop's carry: no array of
observations exists. They are merged into the running moments afterwards (Chan, Golub, LeVeque 1983).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Normalizer(NamedTuple):
    """Moments of all observations so far. Counts are float32: they lose precision late, but never overflow."""

    count: jax.Array  # float32[]
    mean: Any  # float32, like the observation
    squares: Any  # float32, like the observation: sum of squared distances from the mean


class Moments(NamedTuple):
    """Sums of one generation, additive over lanes, steps, blocks and devices."""

    count: jax.Array  # float32[]
    total: Any  # sum of (observation - center)
    squares: Any  # sum of (observation - center)^2
    center: Any  # the center, once for every part
    parts: jax.Array  # float32[]: parts (blocks) added up


def init(observation: Any) -> Normalizer:
    """A normalizer that has seen nothing: it takes mean 0 and standard deviation 1."""
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), observation)
    return Normalizer(jnp.float32(0), zero, zero)


def no_moments(normalizer: Normalizer, probe: Any) -> Moments:
    """Sums over nothing.

    Args:
        probe: some observation. The first generation's sums are taken around it, for a mean far from 0 would swallow
            the variance; later ones are taken around the mean so far.
    """
    known = normalizer.count > 0

    def middle(mean, x):
        x = x.astype(jnp.float32)
        return jnp.where(known | ~jnp.isfinite(x), mean, x)

    zero = jax.tree.map(jnp.zeros_like, normalizer.mean)
    center = jax.tree.map(middle, normalizer.mean, probe)
    return Moments(jnp.float32(0), zero, zero, center, jnp.float32(1))


def observe(moments: Moments, observations: Any, mask: jax.Array) -> Moments:
    """Add a step's observations ([lanes, ...]) where `mask` (bool[lanes]); those with NaN or inf are left out."""
    for x in jax.tree.leaves(observations):
        mask &= jnp.all(jnp.isfinite(x), axis=tuple(range(1, x.ndim)))

    def masked(x, center):
        keep = mask.reshape(-1, *(1,) * center.ndim)
        return jnp.where(keep, x.astype(jnp.float32) - center[None], 0)

    distance = jax.tree.map(masked, observations, moments.center)
    return moments._replace(
        count=moments.count + jnp.sum(mask, dtype=jnp.float32),
        total=jax.tree.map(lambda s, d: s + jnp.sum(d, axis=0), moments.total, distance),
        squares=jax.tree.map(lambda s, d: s + jnp.sum(d * d, axis=0), moments.squares, distance),
    )


def update(normalizer: Normalizer, moments: Moments) -> Normalizer:
    """Merge a generation's sums."""
    count = normalizer.count + moments.count
    per_part, per_new, per_all = 1 / moments.parts, 1 / jnp.maximum(moments.count, 1), 1 / jnp.maximum(count, 1)

    def merge(mean, squares, total, new, center):
        inside = jnp.maximum(new - total * total * per_new, 0)  # around the new observations' own mean
        apart = center * per_part - mean + total * per_new  # from the old mean to theirs
        share = moments.count * per_all
        return mean + apart * share, squares + inside + apart * apart * (normalizer.count * share)

    merged = jax.tree.map(merge, normalizer.mean, normalizer.squares, moments.total, moments.squares, moments.center)
    mean, squares = jax.tree.transpose(jax.tree.structure(normalizer.mean), jax.tree.structure((0, 0)), merged)
    return Normalizer(count, mean, squares)


def deviation(normalizer: Normalizer, floor: float = 0.1) -> Any:
    """Standard deviations, never below `floor` (OpenAI's code: 0.1)."""
    known, share = normalizer.count > 0, 1 / jnp.maximum(normalizer.count, 1)
    return jax.tree.map(lambda q: jnp.where(known, jnp.sqrt(jnp.maximum(q * share, floor**2)), 1), normalizer.squares)


def normalizing(normalizer: Normalizer, *, limit: float = 5.0) -> Callable[[Any], Any]:
    """The function (observation - mean) / deviation, clipped to [-limit, limit] (OpenAI's code: 5); NaN stays NaN."""
    scale = jax.tree.map(lambda std: 1 / std, deviation(normalizer))
    one = lambda x, mean, by: jnp.clip((x.astype(jnp.float32) - mean) * by, -limit, limit)
    return lambda observation: jax.tree.map(one, observation, normalizer.mean, scale)


def normalize(normalizer: Normalizer, observation: Any, *, limit: float = 5.0) -> Any:
    """One observation, normalized."""
    return normalizing(normalizer, limit=limit)(observation)
