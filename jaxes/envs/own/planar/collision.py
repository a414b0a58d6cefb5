"""Where convex polygons touch the ground and each other.

The manifolds of Box2D: of all axes across an edge of one of the two, that of the least penetration; then the edge of
the other one that faces it, clipped (Catto: "Contact Manifolds", GDC 2007; `b2CollideEdge.cpp`, `b2CollidePolygon.cpp`
of Box2D 2.3 have the tolerances). All arrays are of a few elements, for one world.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

SKIN = 0.02  # m: the skins of two bodies together, within which they touch
# The axis across an edge of the second one must be so much better that it is taken.
RELATIVE, ABSOLUTE = 0.98, 0.001
TIE = 0.0005  # m: how much farther apart the second polygon's side must be


class Points(NamedTuple):
    """Points at which the first of two touches the second."""

    position: jax.Array  # float32[..., 2]: halfway between both surfaces, m
    normal: jax.Array  # float32[..., 2]: from the second (the ground) towards the first
    separation: jax.Array  # float32[...]: m, of the surfaces without their skins; infinite where they do not touch
    ids: jax.Array  # int32[...]: which corners met, the same as long as they do
    turning: jax.Array  # float32[...]: 1 where the normal turns with the first one, 0 where it stays


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product of vectors in the plane, float32[..., 2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """The scalar product of float32[..., 2]."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]


def rotated(vector: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """Vectors, float32[..., 2], turned by angles."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], -1)


def normals(polygon: jax.Array) -> jax.Array:
    """The outer unit normals of the edges, from each vertex to the next, of a polygon float32[k, 2]."""
    along = jnp.roll(polygon, -1, 0) - polygon
    outward = jnp.stack([along[:, 1], -along[:, 0]], -1)
    return outward / jnp.sqrt(dot(along, along))[:, None]


class Axes(NamedTuple):
    """A polygon beside edges of the ground, seen along the axes on which they may be apart; arrays of [E]."""

    there: jax.Array  # whether the edge has a length
    up: jax.Array  # float32[E, 2]: the edge's normal
    across_edge: jax.Array  # m: the lowest corner of the polygon above the edge
    across_side: jax.Array  # m: the edge from the side of the polygon that is nearest
    side: jax.Array  # int32: which side that is

    def apart(self) -> jax.Array:
        """float32[E]: how far the polygon is from each of the edges, m; negative where it overlaps one."""
        return jnp.where(self.there, jnp.maximum(self.across_edge, self.across_side), jnp.inf)


def axes(polygon: jax.Array, outward: jax.Array, start: jax.Array, end: jax.Array) -> Axes:
    """How far apart a polygon and edges are; arguments as in `with_edges`."""
    edge = end - start
    length = jnp.sqrt(dot(edge, edge))
    there = length > 1e-6
    along = edge / jnp.where(there, length, 1)[:, None]
    up = jnp.stack([-along[:, 1], along[:, 0]], -1)
    offset = polygon[None] - start[:, None]  # [E, k, 2]
    # Both ends of the edge seen from the sides of the polygon: the nearer one counts.
    to_start = -dot(outward[None], offset)  # [E, k]
    to_end = to_start + dot(outward[None], edge[:, None])
    sides = jnp.minimum(to_start, to_end)
    return Axes(there, up, dot(offset, up[:, None]).min(1), sides.max(1), jnp.argmax(sides, 1))


def with_edges(polygon: jax.Array, outward: jax.Array, start: jax.Array, end: jax.Array) -> Points:
    """Where a polygon touches edges of the ground, which lies to their right.

    Args:
        polygon: float32[k, 2]: in the world's coordinates.
        outward: float32[k, 2]: its normals.
        start: float32[E, 2]: where the edges begin.
        end: float32[E, 2]: where they end; edges without length touch nothing.

    Returns:
        Two points for each edge, [E, 2].
    """
    there, up, across_edge, across_side, side = axes(polygon, outward, start, end)
    touching = there & (across_edge <= SKIN) & (across_side <= SKIN)
    by_side = across_side > RELATIVE * across_edge + ABSOLUTE
    # Where the edge decides, the side of the polygon that faces it most is cut off at its ends; or the other way round.
    facing = jnp.argmin(dot(outward[None], up[:, None]), 1)
    which = jnp.where(by_side, side, facing)
    first, second = _corner(polygon, which), _corner(polygon, (which + 1) % len(polygon))  # [E, 2]
    normal = jnp.where(by_side[:, None], -_corner(outward, which), up)
    origin = jnp.where(by_side[:, None], first, start)
    goal = jnp.where(by_side[:, None], second, end)
    clipped = _clipped(
        origin, goal, jnp.where(by_side[:, None], start, first), jnp.where(by_side[:, None], end, second)
    )
    towards = jnp.where(by_side, jnp.float32(-1), jnp.float32(1))  # the normal points away from the ground
    points = []
    for end_, (point, cut, there_) in enumerate(clipped):
        gap = towards * dot(normal, point - origin)
        halfway = point - (towards * gap / 2)[:, None] * normal
        valid = touching & there_ & (gap <= SKIN)
        feature = ((jnp.where(by_side, 8, 0) + which) * 2 + end_) * 2 + cut
        points.append(Points(halfway, normal, jnp.where(valid, gap, jnp.inf), feature, jnp.where(by_side, 1.0, 0.0)))
    return jax.tree.map(lambda *x: jnp.stack(x, 1), *points)


def with_polygon(one: jax.Array, its: jax.Array, other: jax.Array, others: jax.Array) -> Points:
    """Where two polygons, float32[k, 2] and float32[l, 2] with their normals, touch each other.

    Returns:
        Two points, [2]; the normals point from the second one to the first one.
    """
    apart, best = _least(one, its, other)
    apart_, best_ = _least(other, others, one)
    by_one = apart > apart_ + TIE
    touching = (apart <= SKIN) & (apart_ <= SKIN)
    points = []
    ways = (_faced(other, others, one, its, best_), _faced(one, its, other, others, best))
    for end, (theirs, ours) in enumerate(zip(*ways)):
        point, gap, outward, feature, there = (jnp.where(by_one, a, b) for a, b in zip(ours, theirs))
        normal = jnp.where(by_one, -outward, outward)
        halfway = point - gap / 2 * outward
        valid = touching & there & (gap <= SKIN)
        feature = (feature * 2 + by_one.astype(jnp.int32)) * 2 + end
        points.append(Points(halfway, normal, jnp.where(valid, gap, jnp.inf), feature, jnp.where(by_one, 1.0, 0.0)))
    return jax.tree.map(lambda *x: jnp.stack(x), *points)


def _least(polygon, outward, other):
    """The side of a polygon that is farthest from another one, and how far."""
    sides = dot(outward[:, None], other[None] - polygon[:, None]).min(1)
    return sides.max(), jnp.argmax(sides)


def _faced(polygon, outward, other, others, side):
    """The ends of the other one's side that faces a side of a polygon, clipped to that side."""
    pick = lambda values, at: _corner(values, at[None])[0]
    normal = pick(outward, side)
    facing = jnp.argmin(dot(others, normal[None]))
    start, end = pick(polygon, side), pick(polygon, (side + 1) % len(polygon))
    first, second = pick(other, facing), pick(other, (facing + 1) % len(other))
    clipped = _clipped(start[None], end[None], first[None], second[None])
    feature = (side * len(other) + facing) * 2
    return [
        (point[0], dot(normal, point[0] - start), normal, feature + cut[0], there[0]) for point, cut, there in clipped
    ]


def _corner(values: jax.Array, at: jax.Array) -> jax.Array:
    """values[at] for float32[k, 2] and int32[E], without an index that is not known while tracing."""
    chosen = at[:, None] == jnp.arange(len(values))[None]
    return jnp.where(chosen[:, :, None], values[None], 0).sum(1)


def _clipped(origin, goal, first, second):
    """A segment from `first` to `second`, as far as it lies beside the one from `origin` to `goal`; all float32[E, 2].

    Returns:
        For both ends the point, whether it was cut off there, and whether anything is left.
    """
    along = goal - origin
    square = jnp.maximum(dot(along, along), 1e-12)
    a, b = dot(first - origin, along) / square, dot(second - origin, along) / square
    there = (jnp.minimum(a, b) < 1) & (jnp.maximum(a, b) > 0)
    span = b - a
    per = 1 / jnp.where(jnp.abs(span) > 1e-9, span, 1)
    ends = []
    for at, point in ((a, first), (b, second)):
        inside = jnp.clip(at, 0, 1)
        moved = (inside - at) * per
        ends.append((point + moved[:, None] * (second - first), (inside != at).astype(jnp.int32), there))
    return ends
