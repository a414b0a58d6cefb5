"""The points at which bodies are held in one step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar import ground as grounds
from jaxes.envs.own.planar.collision import SKIN, Points, cross, normals, rotated, with_edges, with_polygon
from jaxes.envs.own.planar.ground import Ground
from jaxes.envs.own.planar.world import Bodies, Impulses, Plan, World


class Contact(NamedTuple):
    """A point at which `body` touches the ground, or another body; numbers are scalars."""

    body: int
    other: int | None  # None for the ground
    points: Points
    friction: jax.Array


def placed(shape: jax.Array, x: jax.Array, y: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Corners and outer normals, float32[k, 2] each, of a polygon in the world's coordinates."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return rotated(shape, cos, sin) + jnp.stack([x, y])[None], rotated(normals(shape), cos, sin)


def corners(world: World, bodies: Bodies, body: int) -> tuple[jax.Array, jax.Array]:
    """Likewise of a body."""
    return placed(world.shapes[body], bodies.position[body, 0], bodies.position[body, 1], bodies.angle[body])


def beside(ground: Ground, edges: int, *polygons: jax.Array) -> Ground:
    """The edges of the ground that polygons may overlap."""
    left = jnp.stack([polygon[:, 0].min() for polygon in polygons]).min()
    return grounds.near(ground, left - SKIN, edges)


def with_ground(polygon: jax.Array, outward: jax.Array, here: Ground) -> Points:
    """Where a polygon touches some edges of the ground: two points for each, [edges, 2]."""
    found = with_edges(polygon, outward, *ends(here))
    return found._replace(ids=numbers(here)[:, None] * 128 + found.ids)


def ends(here: Ground) -> tuple[jax.Array, jax.Array]:
    """Where edges begin and where they end, float32[edges, 2] each."""
    line = jnp.stack([here.x, here.y], -1)
    return line[:-1], line[1:]


def numbers(here: Ground) -> jax.Array:
    """The numbers of edges in the whole terrain, int32[edges]."""
    return here.first + jnp.arange(len(here.x) - 1, dtype=jnp.int32)


def touched(points: Points, here: Ground) -> jax.Array:
    """The numbers of the edges that are touched, int32[edges], -1 for the others."""
    return jnp.where(jnp.isfinite(points.separation).any(1), numbers(here), -1)


def find(
    plan: Plan, world: World, bodies: Bodies, ground: Ground | None
) -> tuple[list[Contact], list[jax.Array], list[jax.Array]]:
    """All points at which something may be held in this step; the number does not depend on how many are.

    Returns:
        The contacts; of each grounded body the edges that it touches; of each watched body, whether it touches any.
    """
    found, edges, watched = [], [], []
    if ground is not None:
        for body in plan.grounded:
            polygon, outward = corners(world, bodies, body)
            here = beside(ground, plan.edges, polygon)
            points = with_ground(polygon, outward, here)
            edges.append(touched(points, here))
            found += on_ground(plan, world, body, points)
        for body in plan.watched:
            polygon, outward = corners(world, bodies, body)
            here = beside(ground, plan.watched_edges, polygon)
            touching = jnp.isfinite(with_ground(polygon, outward, here).separation).any()
            watched.append(touching | buried(bodies.position[body], here))
    for one, other in plan.pairs:
        points = with_polygon(*corners(world, bodies, one), *corners(world, bodies, other))
        rough = jnp.sqrt(world.friction[one] * world.friction[other])
        found += [Contact(one, other, point, rough) for point in single(points)]
    return found, edges, watched


def on_ground(plan: Plan, world: World, body: int, points: Points) -> list[Contact]:
    """The contacts of a body with the ground, of all its points [edges, 2]."""
    rough = jnp.sqrt(world.friction[body] * world.ground_friction)
    return [Contact(body, None, point, rough) for point in single(deepest(points, plan.points))]


def single(points: Points) -> list[Points]:
    """Points [n], one by one."""
    return [Points(*each) for each in zip(*points)]


def buried(place: jax.Array, here: Ground) -> jax.Array:
    """Whether a place, float32[2], is below one of some edges of the ground, bool[]."""
    start, end = ends(here)
    across = cross(end - start, place[None] - start)
    return ((here.x[:-1] <= place[0]) & (place[0] < here.x[1:]) & (across < 0)).any()


def deepest(points: Points, count: int) -> Points:
    """Of points [edges, 2], the `count` deepest ones, [count]; if there are fewer, the rest are none."""
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), points)
    depth = flat.separation
    earlier = jnp.arange(len(depth))[:, None] < jnp.arange(len(depth))[None]
    deeper = (depth[:, None] < depth[None]) | ((depth[:, None] == depth[None]) & earlier)
    rank = deeper.sum(0)
    chosen = rank[None] == jnp.arange(count)[:, None]  # [count, points]
    empty = Points(jnp.float32(0), jnp.float32(0), jnp.float32(jnp.inf), jnp.int32(-1), jnp.float32(0))

    def taken(values, otherwise):
        more = (1,) * (values.ndim - 1)
        kept = jnp.where(jnp.isfinite(depth).reshape(-1, *more), values, otherwise)
        return jnp.where(chosen.reshape(*chosen.shape, *more), kept[None], 0).sum(1).astype(values.dtype)

    ranked = Points(*(taken(values, otherwise) for values, otherwise in zip(flat, empty)))
    ranked = ranked._replace(ids=jnp.where(jnp.arange(count) < len(depth), ranked.ids, -1))
    return ranked._replace(separation=jnp.where(ranked.ids < 0, jnp.inf, ranked.separation))


def remembered(plan: Plan, contacts: list[Contact], impulses: Impulses) -> list[tuple[jax.Array, jax.Array]]:
    """The impulses of the last step, along normal and tangent, of each contact that was there; 0 for new ones."""
    groups = [plan.points] * len(plan.grounded) + [2] * len(plan.pairs)
    out, start = [], 0
    for size in groups:
        old = slice(start, start + size)
        for contact in contacts[old]:
            there = (contact.points.ids >= 0) & jnp.isfinite(contact.points.separation)
            same = (impulses.ids[old] == contact.points.ids) & there
            normal, tangent = (jnp.where(same, x[old], 0).sum() for x in (impulses.normal, impulses.tangent))
            out.append((normal, tangent))
        start += size
    return out
