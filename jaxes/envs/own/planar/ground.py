"""The part of the ground that is near."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar.terrain import Terrain


class Ground(NamedTuple):
    """Some edges of a terrain, one after the other."""

    x: jax.Array  # float32[edges + 1]: of the vertices, m
    y: jax.Array  # float32[edges + 1]
    first: jax.Array  # int32[]: the number of the first edge in the whole terrain


def whole(terrain: Terrain) -> Ground:
    """All of it."""
    return Ground(jnp.asarray(terrain.x), jnp.asarray(terrain.y), jnp.int32(0))


def near(ground: Ground, x: jax.Array, edges: int) -> Ground:
    """The `edges` edges from the one above which `x`, float32[], lies; the last ones, if less are left.

    >>> import jax.numpy as jnp
    >>> ground = whole(Terrain(jnp.arange(5.0), jnp.zeros(5)))
    >>> near(ground, jnp.float32(1.5), 2).x.tolist(), near(ground, jnp.float32(9.0), 2).x.tolist()
    ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    """
    most = len(ground.x) - 1 - edges
    if most <= 0:
        return ground
    # Of a wall at x the last vertex counts, so that no edge of it is at the left.
    before = jnp.sum(ground.x[1 : most + 1] <= x, dtype=jnp.int32)
    return part(ground, before, edges)


def part(ground: Ground, start: jax.Array, edges: int) -> Ground:
    """Edges from number `start`, int32[], of those given.

    Halves are chosen by the bits of `start`, so that no index has to be known: fewer choices than one for every place.
    """
    most = len(ground.x) - 1 - edges
    cut = lambda values: _from(values, start, most, edges + 1)
    return Ground(cut(ground.x), cut(ground.y), ground.first + start)


def _from(values: jax.Array, start: jax.Array, most: int, count: int) -> jax.Array:
    """`values[start : start + count]`, where `start` is at most `most`."""
    bits = most.bit_length()
    values = jnp.concatenate([values, jnp.broadcast_to(values[-1], (max(0, count + (1 << bits) - 1 - len(values)),))])
    for step in (1 << bit for bit in reversed(range(bits))):
        reached = count + step - 1  # by this step and the smaller ones
        values = jnp.where((start & step) != 0, values[step : step + reached], values[:reached])
    return values[:count]


def height(terrain: Terrain, x: jax.Array | float) -> jax.Array:
    """How high the ground is at `x`, float32[]; of a wall, its right side; beyond an end, the end."""
    here = near(whole(terrain), jnp.float32(x), 1)
    width = here.x[1] - here.x[0]
    part = jnp.clip(jnp.where(width > 0, (x - here.x[0]) / jnp.where(width > 0, width, 1), 1), 0, 1)
    return here.y[0] + part * (here.y[1] - here.y[0])
