"""The ground of a planar world: one line from left to right, solid below it."""

from typing import Any, NamedTuple

import jax
import numpy as np


class Terrain(NamedTuple):
    """A line through `n` vertices, of which n is fixed and the coordinates may be traced.

    x never falls. Two vertices with one x are a wall, and two in one place are one: edges without length are ignored.
    """

    x: jax.Array | np.ndarray  # float32[n]: m
    y: jax.Array | np.ndarray  # float32[n]: m


def check(terrain: Any) -> Terrain:
    """Return `terrain` with arrays for numbers, if it is ground that a world can stand on.

    Args:
        terrain: or any pair of x and y, float[n] each. Values that are traced pass.

    Raises:
        ValueError: if there are less than two vertices, x and y differ in shape, a coordinate is not finite, or the
            line overlaps itself: x falls, or a wall turns back.
        TypeError: if a coordinate is no real number.

    >>> check(Terrain([0, 1, 1, 2], [0, 0, 1, 1])).y.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    try:
        x, y = terrain
    except (TypeError, ValueError):
        raise ValueError(f"terrain must be a pair of x and y, got {type(terrain).__name__}") from None
    x, y = _numbers("terrain.x", x), _numbers("terrain.y", y)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(
            f"terrain must have one x and one y for each of two or more vertices, got shapes {x.shape} and {y.shape}"
        )
    for name, values in (("x", x), ("y", y)):
        if not isinstance(values, jax.core.Tracer) and not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"terrain.{name}[{at}] must be finite, got {values[at]:g}")
    if isinstance(x, jax.core.Tracer):
        return Terrain(x, y)
    if (np.diff(x) < 0).any():
        at = int(np.flatnonzero(np.diff(x) < 0)[0])
        raise ValueError(
            f"terrain.x must never fall, or the ground overlaps itself, got {x[at]:g} and then {x[at + 1]:g} at {at}"
        )
    if x[0] == x[-1]:
        raise ValueError(f"terrain.x must rise from its first vertex to its last, got {x[0]:g} everywhere")
    if not isinstance(y, jax.core.Tracer) and (at := _turn(x, y)) is not None:
        raise ValueError(
            f"terrain.y must only rise or only fall along a wall, or the ground overlaps itself; got "
            f"{', '.join(f'{value:g}' for value in y[x == x[at]])} at x = {x[at]:g}"
        )
    return Terrain(x, y)


def _numbers(name, values):
    """`values` as float32, in NumPy unless they are traced."""
    if isinstance(values, jax.core.Tracer):
        kind, real = values.dtype, values.dtype.kind in "fiu"
    else:
        values = np.asarray(values)
        kind, real = values.dtype, values.dtype.kind in "fiu"
    if not real:
        raise TypeError(f"{name} must be real numbers, got dtype {kind}")
    return values.astype(np.float32)


def _turn(x, y):
    """The index of a vertex from which a wall comes back, or None."""
    rises = np.diff(y)[np.diff(x) == 0]
    places = np.flatnonzero(np.diff(x) == 0)
    places, rises = places[rises != 0], rises[rises != 0]
    back = (x[places[1:]] == x[places[:-1]]) & (np.sign(rises[1:]) != np.sign(rises[:-1]))
    return int(places[1:][back][0]) if back.any() else None
