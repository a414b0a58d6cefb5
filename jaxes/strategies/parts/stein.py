"""Particles that repel each other, as in Stein variational gradient descent (Liu & Wang 2016, arXiv:1608.04471)."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.strategies.parts import flat
from jaxes.support import checks, keys, ranking, trees
from jaxes.support.keys import Stream


def check(population_size: int, particles: Any, pairs: bool) -> int:
    """Return the number of members of each particle; raise if the population cannot be dealt out evenly."""
    checks.integer("particles", particles, 2)
    unit = 2 * particles
    if population_size % (unit if pairs else particles) or population_size < unit:
        wanted = f"divisible by 2 * particles = {unit} (whole antithetic pairs)" if pairs else "at least two members"
        if not pairs:
            wanted = f"divisible by particles = {particles}, with {wanted} each"
        raise ValueError(f"population_size must be {wanted}, got {population_size}")
    return population_size // particles


def scattered(key: jax.Array, params: Any, particles: int, deviation: Any) -> Any:
    """Where particles start, leaves [particles, ...]: the first at `params`, the others normal around it."""
    params = checks.params(params)
    return _scattered(particles, checks.key(key), params, jnp.asarray(deviation, trees.number_dtype(params)))


@functools.partial(jax.jit, static_argnums=0)  # one program, so that it rounds alike within another and alone
def _scattered(particles, key, params, deviation):
    z = jax.random.normal(keys.stream(key, Stream.POPULATION), (particles - 1, trees.size(params)), deviation.dtype)
    others = jax.vmap(lambda row: flat.moved(params, deviation * row))(z)
    return jax.tree.map(lambda x, rest: jnp.concatenate([x[None], rest]), params, others)


def kernel(rows: jax.Array, bandwidth: jax.Array, least: jax.Array | float = 0.0) -> tuple[jax.Array, jax.Array]:
    """The kernel exp(-|x - y|^2 / h) of all pairs of particles, and the force with which it drives them apart.

    `h = bandwidth * median^2 / ln(particles)` with the median of the distances between particles (Liu & Wang 2016,
    section 5): a particle then feels its own gradient about as much as all others' together.

    Args:
        rows: float[particles, n].
        bandwidth: float[]: multiplies the median heuristic's h.
        least: h is never below this.

    Returns:
        float[particles, particles], and float[particles, n]: the mean over j of the gradient by x_j of k(x_j, x_i).
    """
    count = rows.shape[0]
    rows = rows - jnp.mean(rows, axis=0, keepdims=True)
    square = lax.map(lambda row: jnp.sum((rows - row[None]) ** 2, axis=1), rows)
    above = jnp.triu_indices(count, 1)
    middle = jnp.median(square[above])
    width = jnp.maximum(bandwidth * middle * (1 / math.log(count)), least)
    inverse = 1 / jnp.where(width > 0, width, 1)
    values = jnp.exp(-square * inverse)
    apart = jnp.sum(values, axis=1, keepdims=True) * rows - flat.times(values, rows)
    return values, (2 / count) * inverse * apart


def leader(fitness: jax.Array, particles: int) -> jax.Array:
    """int32[]: the particle whose members rank best together."""
    first, last = ranking.tied_ranks(fitness)
    return jnp.argmin(jnp.sum((first + last).reshape(particles, -1), axis=1)).astype(jnp.int32)
