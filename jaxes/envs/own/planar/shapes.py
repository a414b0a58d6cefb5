"""Convex polygons: where their centers of mass are, and how they resist being turned."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MOST_CORNERS = 8  # of a polygon, as in Box2D


class Mass(NamedTuple):
    """How a polygon of even density resists being moved and turned."""

    mass: jax.Array  # float32[]: kg, if the density is in kg/m^2
    center: jax.Array  # float32[2]: of mass, m
    inertia: jax.Array  # float32[]: around the center of mass, kg m^2


def mass(vertices: jax.Array, density: float | jax.Array = 1.0) -> Mass:
    """The mass, its center and the moment of inertia of a polygon.

    The polygon is the sum of the triangles between the origin and its edges, with their signs.

    Args:
        vertices: float32[n, 2]: counterclockwise, m.
        density: kg/m^2.

    >>> import jax.numpy as jnp
    >>> m = mass(box(1.0, 2.0), density=3.0)  # 2 m wide and 4 m high
    >>> m.mass.item(), m.center.tolist(), round(m.inertia.item(), 4) == round(24 * (2**2 + 4**2) / 12, 4)
    (24.0, [0.0, 0.0], True)
    """
    vertices = jnp.asarray(vertices)
    x, y = vertices[:, 0], vertices[:, 1]
    next_x, next_y = jnp.roll(x, -1), jnp.roll(y, -1)
    area = (x * next_y - next_x * y) / 2  # of each triangle
    total = area.sum()
    center = jnp.stack([(area * (x + next_x)).sum(), (area * (y + next_y)).sum()]) / (3 * total)
    squares = x * x + x * next_x + next_x * next_x + y * y + y * next_y + next_y * next_y
    around_origin = (area * squares).sum() / 6
    return Mass(density * total, center, density * (around_origin - total * (center * center).sum()))


def check(name: str, vertices: Any) -> jax.Array:
    """A polygon that bodies can have, as an array.

    Args:
        name: of the argument, for the message.
        vertices: float32[k, 2].

    Raises:
        ValueError: if it has not 3 to `MOST_CORNERS` corners, or, unless it is traced, does not turn left at each.

    >>> check("hull", [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    Traceback (most recent call last):
    ValueError: hull must be convex and counterclockwise, got a turn to the right at corner 0, (0, 0)
    """
    polygon = jnp.asarray(vertices)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or not 3 <= len(polygon) <= MOST_CORNERS:
        raise ValueError(f"{name} must have a shape (k, 2) with k from 3 to {MOST_CORNERS}, got {polygon.shape}")
    if not isinstance(polygon, jax.core.Tracer):
        known = np.asarray(polygon)
        before, after = known - np.roll(known, 1, 0), np.roll(known, -1, 0) - known
        turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        if not (turns > 0).all():
            at = int(np.flatnonzero(~(turns > 0))[0])
            x, y = known[at]
            raise ValueError(
                f"{name} must be convex and counterclockwise, got a turn to the right at corner {at}, ({x:g}, {y:g})"
            )
    return polygon


def box(half_width: float | jax.Array, half_height: float | jax.Array) -> jax.Array:
    """The corners, float32[4, 2], of a rectangle around the origin, counterclockwise.

    >>> box(1.0, 2.0).tolist()
    [[-1.0, -2.0], [1.0, -2.0], [1.0, 2.0], [-1.0, 2.0]]
    """
    w, h = jnp.float32(half_width), jnp.float32(half_height)
    return jnp.stack([jnp.stack([-w, -h]), jnp.stack([w, -h]), jnp.stack([w, h]), jnp.stack([-w, h])])
