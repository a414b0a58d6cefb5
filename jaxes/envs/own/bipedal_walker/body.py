"""The walker's body: a hull and two legs of two parts each (gymnasium's `bipedal_walker.py`, by Oleg Klimov).

Bodies are in gymnasium's order: the hull, the upper and lower part of the first leg, those of the second one. Joints
and contacts are in the order in which Box2D solves them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar

SCALE = 30.0  # gymnasium's units of length in a meter
HULL = np.array([(-30, -8), (34, -8), (34, 1), (6, 9), (-30, 9)], np.float32) / SCALE
LEG_WIDTH, LEG_HEIGHT = 8 / SCALE, 34 / SCALE
LOWER_WIDTH = 0.8 * LEG_WIDTH
HIP = -8 / SCALE  # below the hull's origin
MOTOR_TORQUE, HIP_SPEED, KNEE_SPEED = 80.0, 4.0, 6.0  # N m, rad/s
SPREAD = 0.05  # rad: the legs' angles at the start
HULL_BODY, LOWER = 0, (2, 4)
JOINTS = ((3, 4), (0, 3), (0, 1), (1, 2))
HIPS, KNEES = (2, 1), (3, 0)  # of the first leg and of the second one, among the joints
GROUNDED = (4, 3, 1, 2)


class Angle(NamedTuple):
    """A joint."""

    angle: jax.Array  # float32[]: rad
    speed: jax.Array  # float32[]: rad/s


def build(
    plan: planar.Plan,
    hull: jax.Array | np.ndarray = HULL,
    leg_width: float | jax.Array = LEG_WIDTH,
    leg_height: float | jax.Array = LEG_HEIGHT,
    lower_width: float | jax.Array = LOWER_WIDTH,
) -> tuple[planar.World, jax.Array]:
    """The world of a walker, and where the centers of mass are in the coordinates of the parts, float32[5, 2].

    Friction of the ground is 2.5, of the legs 0.2 (Box2D's default) and of the hull 0.1.

    Args:
        plan: with the joints above.
        hull: float32[k, 2]: a polygon around the hull's origin, counterclockwise, m.
        leg_width: of the upper parts, m.
        leg_height: of each part, m.
        lower_width: of the lower parts, m.
    """
    upper, lower = planar.box(leg_width / 2, leg_height / 2), planar.box(lower_width / 2, leg_height / 2)
    hip = jnp.array([0.0, HIP], jnp.float32)
    top = jnp.array([0.0, 0.5], jnp.float32) * leg_height
    joints = planar.Joints(
        anchor_a=jnp.stack([-top, hip, hip, -top]),
        anchor_b=jnp.stack([top] * 4),
        reference=jnp.array([0, SPREAD, -SPREAD, 0], jnp.float32),
        lower=jnp.array([-1.6, -0.8, -0.8, -1.6], jnp.float32),
        upper=jnp.array([-0.1, 1.1, 1.1, -0.1], jnp.float32),
    )
    polygons = [jnp.asarray(hull), upper, lower, upper, lower]
    return planar.world(plan, polygons, [5.0, 1.0, 1.0, 1.0, 1.0], [0.1, 0.2, 0.2, 0.2, 0.2], 2.5, joints)


def standing(x: float, y: float, centers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions and angles at the start, float32[5, 2] and float32[5], of a hull with its origin at (x, y).

    As in gymnasium the legs hang above their joints; the first step pulls them there.
    """
    top = y - HIP
    upper, lower = (x, top - LEG_HEIGHT / 2), (x, top - 1.5 * LEG_HEIGHT)
    position = jnp.array([(x, y), upper, lower, upper, lower], jnp.float32) + centers
    return position, jnp.array([0, -SPREAD, -SPREAD, SPREAD, SPREAD], jnp.float32)


def origin(bodies: planar.Bodies, centers: jax.Array) -> jax.Array:
    """Where the origin of the hull is, float32[2]."""
    sin, cos = jnp.sin(bodies.angle[0]), jnp.cos(bodies.angle[0])
    x, y = centers[0]
    return bodies.position[0] - jnp.stack([cos * x - sin * y, sin * x + cos * y])


def motors(action: jax.Array) -> planar.Motors:
    """What drives the joints, by an action float32[4] in [-1, 1]: hip and knee of the first leg, of the second one.

    The sign is that of the speed, and the size that of the torque.
    """
    drive, most = [jnp.float32(0)] * 4, [HIP_SPEED] * 4
    for leg in (0, 1):
        drive[HIPS[leg]], drive[KNEES[leg]] = action[2 * leg], action[2 * leg + 1]
        most[KNEES[leg]] = KNEE_SPEED
    force = jnp.stack(drive)
    return planar.Motors(jnp.sign(force) * jnp.array(most, jnp.float32), MOTOR_TORQUE * jnp.abs(force))


def joints(world: planar.World, bodies: planar.Bodies) -> tuple[list[Angle], list[Angle]]:
    """The hips and the knees of both legs."""

    def one(joint: int) -> Angle:
        a, b = JOINTS[joint]
        turned = bodies.angle[b] - bodies.angle[a] - world.joints.reference[joint]
        return Angle(turned, bodies.spin[b] - bodies.spin[a])

    return [one(joint) for joint in HIPS], [one(joint) for joint in KNEES]
