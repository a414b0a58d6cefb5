"""The walker's body: a hull and two legs of two parts each (gymnasium's `bipedal_walker.py`, by Oleg Klimov)."""

import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar

SCALE = 30.0  # gymnasium's units of length in a meter
HULL = np.array([(-30, -8), (34, -8), (34, 1), (6, 9), (-30, 9)], np.float32) / SCALE
LEG_WIDTH, LEG_HEIGHT = 8 / SCALE, 34 / SCALE
LOWER_WIDTH = 0.8 * LEG_WIDTH
HIP = -8 / SCALE  # below the hull's origin
MOTOR_TORQUE, HIP_SPEED, KNEE_SPEED = 80.0, 4.0, 6.0  # N m, rad/s
SPEEDS = np.array([HIP_SPEED, KNEE_SPEED, HIP_SPEED, KNEE_SPEED], np.float32)
SPREAD = 0.05  # rad: the legs' angles at the start
# The hull is no obstacle: where it touches the ground the episode ends.
HULL_BODY, UPPER, LOWER = 0, (1, 3), (2, 4)
JOINTS = ((0, 1), (1, 2), (0, 3), (3, 4))
GROUNDED = (1, 2, 3, 4)


def build(plan: planar.Plan, hull=HULL, leg_width=LEG_WIDTH, leg_height=LEG_HEIGHT, gravity: float = -10.0):
    """The world of a walker, and where the centers of mass are in the coordinates of the parts, float32[5, 2].

    All sizes may be traced. Friction of the ground is 2.5, of the legs 0.2 and of the hull 0.1.
    """
    upper, lower = planar.box(leg_width / 2, leg_height / 2), planar.box(0.4 * leg_width, leg_height / 2)
    down, up = jnp.array([0.0, -0.5]) * leg_height, jnp.array([0.0, 0.5]) * leg_height
    hip = jnp.array([0.0, HIP])
    joints = planar.Joints(
        anchor_a=jnp.stack([hip, down, hip, down]),
        anchor_b=jnp.stack([up, up, up, up]),
        reference=jnp.array([-SPREAD, 0.0, SPREAD, 0.0]),
        lower=jnp.array([-0.8, -1.6, -0.8, -1.6]),
        upper=jnp.array([1.1, -0.1, 1.1, -0.1]),
    )
    return planar.world(
        plan,
        [jnp.asarray(hull), upper, lower, upper, lower],
        [5.0, 1.0, 1.0, 1.0, 1.0],
        [0.1, 0.2, 0.2, 0.2, 0.2],
        2.5,
        joints,
        (0.0, gravity),
    )
