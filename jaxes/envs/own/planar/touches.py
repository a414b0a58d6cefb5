"""Contacts in the solver: no body goes on into what it touches, and what slides is rubbed."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxes.envs.own.planar.collision import SKIN
from jaxes.envs.own.planar.contacts import Contact
from jaxes.envs.own.planar.motion import Motion, Vector, small

SHARE = 0.2  # of an overlap that is taken away at a time
SLOP = 0.005  # m: how far bodies may overlap
MOST_CORRECTION = 0.2  # m at a time


class Axis(NamedTuple):
    """How an impulse of 1 N s along an axis of a contact moves its body; and against what motion it acts."""

    body: int
    seen: tuple[Any, Any, Any]  # impulse for each m/s, m/s and rad/s of the body
    moves: tuple[Any, Any, Any]  # m/s, m/s and rad/s of the body for each N s


class Touch(NamedTuple):
    """A contact as the iterations need it. Where there is none, its impulses stay 0."""

    normal: tuple[Axis, ...]  # of the body, and of the other one that it touches
    tangent: tuple[Axis, ...]
    friction: Any


def touch(contact: Contact, position: Motion, im, ii) -> Touch:
    """A contact whose points were found at `position`."""
    body, other, points, friction = contact
    x, y = points.normal[0], points.normal[1]
    bodies = [(body, 1)] if other is None else [(body, 1), (other, -1)]
    there = points.separation <= SKIN

    def along(x, y):
        parts, k = [], 0
        for which, sign in bodies:
            arm = (points.position[0] - position.x[which]) * y - (points.position[1] - position.y[which]) * x
            k += im[which] + ii[which] * arm * arm
            parts.append((which, (sign * x, sign * y, sign * arm)))
        mass = jnp.where(there, 1 / jnp.where(there, k, 1), 0)
        inertia = lambda which: (im[which], im[which], ii[which])
        times = lambda factors, values: tuple(a * b for a, b in zip(factors, values))
        return tuple(Axis(which, times((mass,) * 3, unit), times(inertia(which), unit)) for which, unit in parts)

    return Touch(along(x, y), along(y, -x), friction)


def touched(velocity: Motion, axes: tuple[Axis, ...], impulse) -> Motion:
    """With an impulse along an axis of a contact."""
    for body, _, moves in axes:
        velocity = velocity.pushed(body, *(impulse * part for part in moves))
    return velocity


def solve(velocity: Motion, touch: Touch, held):
    """One turn: friction first, by the pressure so far, then the pressure."""
    normal, tangent = held
    most = touch.friction * normal
    rubbed = jnp.clip(tangent - _against(velocity, touch.tangent), -most, most)
    velocity = touched(velocity, touch.tangent, rubbed - tangent)
    pressed = jnp.maximum(normal - _against(velocity, touch.normal), 0)
    velocity = touched(velocity, touch.normal, pressed - normal)
    return velocity, [pressed, rubbed]


def _against(velocity: Motion, axes: tuple[Axis, ...]):
    """The impulse that would end all motion along an axis."""
    parts = [
        velocity.x[body] * seen[0] + velocity.y[body] * seen[1] + velocity.angle[body] * seen[2]
        for body, seen, _ in axes
    ]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


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
    arm, other_arm = lever(body), None if other is None else lever(other)
    k = im[body] + ii[body] * arm * arm
    if other_arm is not None:
        k += im[other] + ii[other] * other_arm * other_arm
    impulse = -push / jnp.where(k > 0, k, 1)
    x, y = impulse * normal.x, impulse * normal.y
    position = position.pushed(body, im[body] * x, im[body] * y, ii[body] * arm * impulse)
    if other is not None and other_arm is not None:
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
