"""Ranks with ties and NaN: equal values share their rank, and NaN ranks below everything."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.support import checks


def tied_ranks(fitness: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First and last place (0 = best) of each member's group of equals.

    Args:
        fitness: float[n], higher is better; NaN counts as one group of equals in the last places, `-inf` just above it.

    Returns:
        Two int32[n]; they are equal where a member has no equal.
    """
    fitness = checks.gathered(fitness)
    n = fitness.shape[0]
    order = jnp.argsort(-fitness)
    ordered = fitness[order]
    same = (ordered[1:] == ordered[:-1]) | (jnp.isnan(ordered[1:]) & jnp.isnan(ordered[:-1]))
    edge = jnp.ones((1,), bool)
    place = jnp.arange(n, dtype=jnp.int32)
    first = lax.cummax(jnp.where(jnp.concatenate([edge, ~same]), place, 0))
    last = lax.cummin(jnp.where(jnp.concatenate([~same, edge]), place, n - 1), reverse=True)
    back = jnp.zeros_like(place).at[order].set(place, unique_indices=True)
    return first[back], last[back]


def share(table: jax.Array, fitness: jax.Array) -> jax.Array:
    """Give each member the entry of `table` at its place; equals get the mean of their entries.

    Args:
        table: float[n], the weight of each place, best first.
        fitness: float[n].

    Returns:
        float[n] in the members' order, with the sum of `table`.
    """
    first, last = tied_ranks(fitness)
    total = jnp.concatenate([jnp.zeros((1,), table.dtype), jnp.cumsum(table)])
    mean = (total[last + 1] - total[first]) / (last - first + 1).astype(table.dtype)
    return jnp.where(first == last, table[first], mean)


def recombination(table: jax.Array, fitness: jax.Array) -> jax.Array:
    """`share` for recombination: an invalid member gets no positive weight, and the valid ones get its part.

    Args:
        table: float[n], the weight of each place, best first.
        fitness: float[n].

    Returns:
        float[n] in the members' order.
    """
    fitness = checks.gathered(fitness)
    weights = share(table, fitness)
    positive = jnp.maximum(weights, 0)
    kept = jnp.where(jnp.isnan(fitness), 0, positive)
    whole, left = jnp.sum(positive), jnp.sum(kept)
    scale = jnp.where(left == whole, 1, whole / jnp.where(left > 0, left, 1))
    return jnp.where(weights > 0, kept * scale, weights)
