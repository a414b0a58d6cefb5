"""Revolute joints in the solver: a point that two bodies share, a motor, and limits of the angle."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar.motion import Motion, Vector, turned
from jaxes.envs.own.planar.world import Motors, Plan, World

ANGULAR_SLOP = 2 / 180 * math.pi  # rad
MOST_TURN = 8 / 180 * math.pi  # rad at a time


class Joint(NamedTuple):
    """What the velocities of a joint need, all known before the iterations."""

    a: int
    b: int
    ra: Vector  # from the centers of mass to the joint
    rb: Vector
    inverse: tuple[Any, Any, Any]  # of the 2 x 2 matrix, symmetric: 11, 12, 22
    slope: Vector  # how the point's impulse answers one of the limit
    limit_mass: Any
    turn_mass: Any
    limit_low: Any  # bounds of the limit's impulse
    limit_high: Any
    speed: Any  # of the motor
    most: Any  # its impulse
    anchor_a: jax.Array  # float32[2]: where it is on each body
    anchor_b: jax.Array
    reference: Any
    lower: Any
    upper: Any


def joint(number: int, plan: Plan, world: World, motors: Motors, position: Motion, sin, cos, seconds, im, ii) -> Joint:
    """Joint `number` as the iterations need it."""
    a, b = plan.joints[number]
    ra = turned(world.joints.anchor_a[number], cos[a], sin[a])
    rb = turned(world.joints.anchor_b[number], cos[b], sin[b])
    inverse = _inverse(_matrix(ra, rb, im[a], im[b], ii[a], ii[b]))
    # The third row and column of the matrix, which the limit has (Box2D solves all three together).
    column = Vector(-ra.y * ii[a] - rb.y * ii[b], ra.x * ii[a] + rb.x * ii[b])
    slope = Vector(*_times(inverse, column.x, column.y))
    turn = ii[a] + ii[b]
    angle = position.angle[b] - position.angle[a] - world.joints.reference[number]
    at_lower, at_upper = angle <= world.joints.lower[number], angle >= world.joints.upper[number]
    return Joint(
        a,
        b,
        ra,
        rb,
        inverse,
        slope,
        1 / (turn - column.x * slope.x - column.y * slope.y),
        1 / turn,
        jnp.where(at_upper & ~at_lower, -jnp.inf, 0),
        jnp.where(at_lower, jnp.inf, 0),
        motors.speed[number],
        seconds * motors.torque[number],
        *(values[number] for values in world.joints),
    )


def _matrix(ra, rb, ma, mb, ia, ib):
    """How a joint's point answers an impulse there: 11, 12, 22 of a symmetric matrix."""
    return (
        ma + mb + ra.y * ra.y * ia + rb.y * rb.y * ib,
        -ra.y * ra.x * ia - rb.y * rb.x * ib,
        ma + mb + ra.x * ra.x * ia + rb.x * rb.x * ib,
    )


def _inverse(matrix):
    m11, m12, m22 = matrix
    per = 1 / (m11 * m22 - m12 * m12)
    return per * m22, -per * m12, per * m11


def _times(matrix, x, y):
    m11, m12, m22 = matrix
    return m11 * x + m12 * y, m12 * x + m22 * y


def kept(limit, joint):
    """The impulse of a limit that is still reached."""
    return jnp.clip(limit, joint.limit_low, joint.limit_high)


def joined(velocity: Motion, joint: Joint, im, ii, x, y, turn) -> Motion:
    """With an impulse at a joint and one that turns its bodies."""
    a, b, ra, rb = joint.a, joint.b, joint.ra, joint.rb
    velocity = velocity.pushed(a, -im[a] * x, -im[a] * y, -ii[a] * (ra.x * y - ra.y * x + turn))
    return velocity.pushed(b, im[b] * x, im[b] * y, ii[b] * (rb.x * y - rb.y * x + turn))


def solve(velocity: Motion, joint: Joint, held, im, ii):
    """One turn: the motor first, then the point and the limit together."""
    a, b, ra, rb = joint.a, joint.b, joint.ra, joint.rb
    x, y, limit, motor = held
    wanted = motor + joint.turn_mass * (joint.speed - velocity.angle[b] + velocity.angle[a])
    driven = jnp.clip(wanted, -joint.most, joint.most)
    wa, wb = velocity.angle[a] - ii[a] * (driven - motor), velocity.angle[b] + ii[b] * (driven - motor)
    dx = velocity.x[b] - wb * rb.y - velocity.x[a] + wa * ra.y
    dy = velocity.y[b] + wb * rb.x - velocity.y[a] - wa * ra.x
    px, py = _times(joint.inverse, -dx, -dy)
    pressed = limit + joint.limit_mass * (joint.slope.x * dx + joint.slope.y * dy - wb + wa)
    pressed = jnp.clip(pressed, joint.limit_low, joint.limit_high)
    more = pressed - limit
    px, py = px - joint.slope.x * more, py - joint.slope.y * more
    velocity = joined(velocity, joint, im, ii, px, py, driven - motor + more)
    return velocity, [x + px, y + py, pressed, driven]


def pull_together(position: Motion, joint: Joint, im, ii) -> tuple[Motion, Any, Any]:
    """With the joint's points in one place and its angle within the limits; and how far they were off, m and rad."""
    a, b = joint.a, joint.b
    angle = position.angle[b] - position.angle[a] - joint.reference
    below = jnp.clip(angle - joint.lower + ANGULAR_SLOP, -MOST_TURN, 0)
    above = jnp.clip(angle - joint.upper - ANGULAR_SLOP, 0, MOST_TURN)
    at_lower, at_upper = joint.limit_high > 0, joint.limit_low < 0
    turn = -joint.turn_mass * jnp.where(at_lower, below, jnp.where(at_upper, above, 0))
    beyond = jnp.where(at_lower, joint.lower - angle, jnp.where(at_upper, angle - joint.upper, 0))
    position = position.pushed(a, 0.0, 0.0, -ii[a] * turn).pushed(b, 0.0, 0.0, ii[b] * turn)
    ra = turned(joint.anchor_a, jnp.cos(position.angle[a]), jnp.sin(position.angle[a]))
    rb = turned(joint.anchor_b, jnp.cos(position.angle[b]), jnp.sin(position.angle[b]))
    x = position.x[b] + rb.x - position.x[a] - ra.x
    y = position.y[b] + rb.y - position.y[a] - ra.y
    px, py = _times(_inverse(_matrix(ra, rb, im[a], im[b], ii[a], ii[b])), -x, -y)
    position = position.pushed(a, -im[a] * px, -im[a] * py, -ii[a] * (ra.x * py - ra.y * px))
    position = position.pushed(b, im[b] * px, im[b] * py, ii[b] * (rb.x * py - rb.y * px))
    return position, jnp.sqrt(x * x + y * y), beyond
