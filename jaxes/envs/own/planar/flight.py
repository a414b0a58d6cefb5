"""What would get into the ground on its way is stopped there.

As Box2D's continuous collision (`b2World::SolveTOI`, `b2TimeOfImpact`): a body that begins a step above the ground and
ends it inside goes back to where it met the ground, alone, is held there, and goes on for the rest of the time. What
its joints say to that comes with the next step.
"""

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar import contacts, touches
from jaxes.envs.own.planar.collision import axes
from jaxes.envs.own.planar.ground import Ground
from jaxes.envs.own.planar.motion import Motion, in_turn
from jaxes.envs.own.planar.world import Plan, World

TARGET, TOLERANCE = 0.005, 0.00125  # m: how far from the ground a body is stopped
LOOKS = 5  # for the time of the impact
SHARE = 0.75  # of an overlap that is taken away at a time
VELOCITY_TURNS, POSITION_TURNS = 20, 4


def stopped(
    plan: Plan, world: World, ground: Ground, start: Motion, end: Motion, velocity: Motion, seconds: float, im, ii
) -> tuple[Motion, Motion, list[jax.Array]]:
    """Positions and velocities at the end of a step; and for each grounded body, the edges that stopped it."""
    struck = []
    for body in plan.grounded:
        end, velocity, edges = _one(plan, world, ground, body, start, end, velocity, seconds, im, ii)
        struck.append(edges)
    return end, velocity, struck


def hits(plan: Plan, world: World, ground: Ground, body: int, end: Motion) -> jax.Array:
    """Whether a watched body ends its step inside the ground."""
    polygon, outward = contacts.placed(world.shapes[body], end.x[body], end.y[body], end.angle[body])
    here = contacts.beside(ground, plan.watched_edges, polygon)
    return axes(polygon, outward, *contacts.ends(here)).apart().min() < TARGET - TOLERANCE


def _one(plan, world, ground, body, start, end, velocity, seconds, im, ii):
    shape = world.shapes[body]
    part = lambda motion: (motion.x[body], motion.y[body], motion.angle[body])
    first, last = part(start), part(end)
    at = lambda t: tuple(a + t * (b - a) for a, b in zip(first, last))
    whole = [contacts.placed(shape, *pose) for pose in (first, last)]
    here = contacts.beside(ground, plan.edges, *(polygon for polygon, _ in whole))
    begin, end_ = contacts.ends(here)
    gap = lambda placed: axes(placed[0], placed[1], begin, end_).apart() - TARGET
    above, below = gap(whole[0]), gap(whole[1])  # [edges]: what slides on one may run into another
    close = (above > -TARGET) & (above < TOLERANCE)  # it is stopped where it begins
    into = close | ((above >= TOLERANCE) & (below < -TOLERANCE))
    hit = into.any()
    first_one = lambda above, below: jnp.where(into, _share(above, below), 1).min()

    def look(turn, carry):
        near, far, above, below = carry  # times before and after the impact
        # Every second one in the middle: a gap may stay as it is for long, while a body rolls over its corner.
        t = near + (far - near) * jnp.where(turn % 2 == 0, first_one(above, below), 0.5)
        now = gap(contacts.placed(shape, *at(t)))
        free = (~into | (now > 0)).all()
        later = (t, far, now, below), (near, t, above, now)
        return tuple(jnp.where(free, a, b) for a, b in zip(*later))

    carry = jnp.float32(0), jnp.float32(1), above, below
    near, far, above, below = jax.lax.fori_loop(0, LOOKS, look, carry)
    t = jnp.where(close.any(), 0, near + (far - near) * first_one(above, below))
    x, y, angle = at(t)
    replaced = lambda motion, *values: Motion(
        *((*old[:body], new, *old[body + 1 :]) for old, new in zip(motion, values))
    )
    there = replaced(end, x, y, angle)
    points = contacts.with_ground(*contacts.placed(shape, x, y, angle), here)
    met = jnp.where(hit, contacts.touched(points, here), -1)
    found = contacts.on_ground(plan, world, body, points)
    anchors = [touches.Anchored.of(contact, there) for contact in found]

    def correction(_, there):
        for anchor in anchors:
            there, _ = touches.push_apart(there, anchor, im, ii, SHARE)
        return there

    there = jax.lax.fori_loop(0, POSITION_TURNS, correction, there)
    held = [touches.touch(touches.moved(*pair, there), there, im, ii) for pair in zip(found, anchors)]

    turn = lambda _, carry: in_turn(touches.solve, carry[0], held, carry[1])
    none = [[jnp.float32(0), jnp.float32(0)] for _ in held]
    slowed, _ = jax.lax.fori_loop(0, VELOCITY_TURNS, turn, (velocity, none))
    left = (1 - t) * seconds
    moved = tuple(p + left * v for p, v in zip(part(there), part(slowed)))
    chosen = lambda new, old: tuple(jnp.where(hit, a, b) for a, b in zip(new, old))
    end = replaced(end, *chosen(moved, last))
    return end, replaced(velocity, *chosen(part(slowed), part(velocity))), met


def _share(above: jax.Array, below: jax.Array) -> jax.Array:
    """Where lines from `above` 0 to `below` it cross 0; 1 if they do not."""
    return jnp.clip(above / jnp.maximum(above - below, 1e-9), 0, 1)
