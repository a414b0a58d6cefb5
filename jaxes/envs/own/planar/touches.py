"""Contacts in the solver: no body goes on into what it touches, and what slides is rubbed."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxes.envs.own.planar.collision import SKIN
from jaxes.envs.own.planar.contacts import Contact
from jaxes.envs.own.planar.motion import Motion, Vector, small

SHARE = 0.2  # of an overlap that is taken away at a time
SLOP = 0.005  # m: how far bodies may overlap
MOST_CORRECTION = 0.2  # m at a time


class Touch(NamedTuple):
    """Likewise of a contact."""

    body: int
    other: int | None
    normal: Vector
    arms: tuple[Any, Any]  # of the normal and of the tangent, around the body
    other_arms: tuple[Any, Any]
    normal_mass: Any  # 0 where there is no contact
    tangent_mass: Any
    friction: Any


def touch(contact: Contact, position: Motion, im, ii) -> Touch:
    body, other, points, friction = contact
    normal = Vector(points.normal[0], points.normal[1])
    arm = lambda body: Vector(points.position[0] - position.x[body], points.position[1] - position.y[body])
    around = lambda r: (r.x * normal.y - r.y * normal.x, -r.x * normal.x - r.y * normal.y)  # tangent = (n.y, -n.x)
    arms = around(arm(body))
    others = (0.0, 0.0) if other is None else around(arm(other))
    there = points.separation <= SKIN
    masses = []
    for mine, theirs in zip(arms, others):
        k = im[body] + ii[body] * mine * mine
        k = k if other is None else k + im[other] + ii[other] * theirs * theirs
        masses.append(jnp.where(there, 1 / jnp.where(there, k, 1), 0))
    return Touch(body, other, normal, arms, others, *masses, friction)


def touched(velocity: Motion, touch: Touch, im, ii, normal, tangent) -> Motion:
    """With impulses along the normal and the tangent of a contact."""
    x = normal * touch.normal.x + tangent * touch.normal.y
    y = normal * touch.normal.y - tangent * touch.normal.x
    turn = lambda arms: normal * arms[0] + tangent * arms[1]
    body, other = touch.body, touch.other
    velocity = velocity.pushed(body, im[body] * x, im[body] * y, ii[body] * turn(touch.arms))
    if other is not None:
        velocity = velocity.pushed(other, -im[other] * x, -im[other] * y, -ii[other] * turn(touch.other_arms))
    return velocity


def solve(velocity: Motion, touch: Touch, held, im, ii):
    normal, tangent = held
    body, other, n = touch.body, touch.other, touch.normal

    def towards(x, y, axis):
        """The speed along an axis of one body's point against the other one's."""
        speed = velocity.x[body] * x + velocity.y[body] * y + velocity.angle[body] * touch.arms[axis]
        if other is not None:
            speed -= velocity.x[other] * x + velocity.y[other] * y + velocity.angle[other] * touch.other_arms[axis]
        return speed

    most = touch.friction * normal
    rubbed = jnp.clip(tangent - touch.tangent_mass * towards(n.y, -n.x, 1), -most, most)
    velocity = touched(velocity, touch, im, ii, 0.0, rubbed - tangent)
    pressed = jnp.maximum(normal - touch.normal_mass * towards(n.x, n.y, 0), 0)
    velocity = touched(velocity, touch, im, ii, pressed - normal, 0.0)
    return velocity, [pressed, rubbed]


class Anchored(NamedTuple):
    """A contact in coordinates that move with its bodies, for the correction of positions."""

    body: int
    other: int | None
    arm: Vector  # from the center of the body to its surface, at `angle`
    other_arm: Vector  # of the other one; of the ground, a point
    normal: Vector
    angle: Any
    other_angle: Any
    turning: Any  # 1 where the normal turns with the body, 0 with the other one
    there: Any

    @classmethod
    def of(cls, contact: Contact, position: Motion) -> "Anchored":
        points, body, other = contact.points, contact.body, contact.other
        there = jnp.isfinite(points.separation)
        half = jnp.where(there, points.separation, 0) / 2
        normal = Vector(points.normal[0], points.normal[1])
        arm = Vector(
            points.position[0] + half * normal.x - position.x[body],
            points.position[1] + half * normal.y - position.y[body],
        )
        center = (0.0, 0.0) if other is None else (position.x[other], position.y[other])
        other_arm = Vector(
            points.position[0] - half * normal.x - center[0], points.position[1] - half * normal.y - center[1]
        )
        other_angle = 0.0 if other is None else position.angle[other]
        return cls(body, other, arm, other_arm, normal, position.angle[body], other_angle, points.turning, there)


def push_apart(position: Motion, anchor: Anchored, im, ii, share: float) -> tuple[Motion, Any]:
    """With a `share` of an overlap taken away; and how far apart the skins were, m, negative where they overlapped."""
    body, other = anchor.body, anchor.other
    normal, corner, apart = _now(anchor, position)
    apart = jnp.where(anchor.there, apart - SKIN, 0)
    push = jnp.clip(share * (apart + SLOP), -MOST_CORRECTION, 0)
    lever = lambda of: (corner.x - position.x[of]) * normal.y - (corner.y - position.y[of]) * normal.x
    arm = lever(body)
    k = im[body] + ii[body] * arm * arm
    if other is not None:
        other_arm = lever(other)
        k += im[other] + ii[other] * other_arm * other_arm
    impulse = -push / jnp.where(k > 0, k, 1)
    x, y = impulse * normal.x, impulse * normal.y
    position = position.pushed(body, im[body] * x, im[body] * y, ii[body] * arm * impulse)
    if other is not None:
        position = position.pushed(other, -im[other] * x, -im[other] * y, -ii[other] * other_arm * impulse)
    return position, apart


def moved(contact: Contact, anchor: Anchored, position: Motion) -> Contact:
    """A contact after its bodies have moved since it was found."""
    normal, corner, apart = _now(anchor, position)
    halfway = (anchor.turning - 0.5) * apart  # from the corner: the body's is above the other's surface
    place = jnp.stack([corner.x + halfway * normal.x, corner.y + halfway * normal.y])
    return contact._replace(points=contact.points._replace(position=place, normal=jnp.stack(normal)))


def _now(anchor: Anchored, position: Motion) -> tuple[Vector, Vector, Any]:
    """The normal, the corner that touches, of whichever of the two it is, and how far apart the surfaces are, m."""
    body, other = anchor.body, anchor.other
    turn = position.angle[body] - anchor.angle
    r = small(anchor.arm, turn)
    mine = Vector(position.x[body] + r.x, position.y[body] + r.y)
    if other is None:
        theirs = anchor.other_arm
        normal = small(anchor.normal, anchor.turning * turn)
    else:
        other_turn = position.angle[other] - anchor.other_angle
        s = small(anchor.other_arm, other_turn)
        theirs = Vector(position.x[other] + s.x, position.y[other] + s.y)
        normal = small(anchor.normal, anchor.turning * turn + (1 - anchor.turning) * other_turn)
    apart = (mine.x - theirs.x) * normal.x + (mine.y - theirs.y) * normal.y
    corner = Vector(*(anchor.turning * b + (1 - anchor.turning) * a for a, b in zip(mine, theirs)))
    return normal, corner, apart
