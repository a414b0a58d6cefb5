"""The lander's body: a hull and two legs on springs (gymnasium's `lunar_lander.py`, by Oleg Klimov)."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar
from jaxes.envs.own.lunar_lander.moon import HEIGHT, WIDTH

SCALE = 30.0  # gymnasium's units of length in a meter
HULL = np.array([(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)], np.float32) / SCALE
AWAY, DOWN = 20 / SCALE, 18 / SCALE  # m: from the hull's origin, where the legs hang, to the legs
LEG_WIDTH, LEG_HEIGHT = 4 / SCALE, 16 / SCALE
SPREAD = 0.05  # rad: the legs' angles at the start
SPRING_SPEED, SPRING_TORQUE = 0.3, 40.0  # rad/s, N m: legs are pushed outwards
# Where the hull touches the moon the episode ends, so nothing need hold it there.
HULL_BODY, LEGS = 0, (1, 2)
# In the order in which Box2D solves them.
JOINTS = ((0, 2), (0, 1))
GROUNDED = (2, 1)


def build(plan: planar.Plan, gravity: float) -> tuple[planar.World, jax.Array]:
    """The world of a lander, and where the hull's center of mass is in its own coordinates, float32[2].

    Friction of the moon and of the hull is 0.1, of the legs 0.2.
    """
    leg = planar.box(LEG_WIDTH / 2, LEG_HEIGHT / 2)
    joints = planar.Joints(
        anchor_a=jnp.zeros((2, 2), jnp.float32),
        anchor_b=jnp.array([(AWAY, DOWN), (-AWAY, DOWN)], jnp.float32),
        reference=jnp.array([SPREAD, -SPREAD], jnp.float32),
        lower=jnp.array([-0.9, 0.4], jnp.float32),
        upper=jnp.array([-0.4, 0.9], jnp.float32),
    )
    polygons = [jnp.asarray(HULL), leg, leg]
    world, centers = planar.world(plan, polygons, [5.0, 1.0, 1.0], [0.1, 0.2, 0.2], 0.1, joints, (0.0, gravity))
    return world, centers[0]


def springs() -> planar.Motors:
    """What drives the legs."""
    return planar.Motors(jnp.array([SPRING_SPEED, -SPRING_SPEED], jnp.float32), jnp.full(2, SPRING_TORQUE, jnp.float32))


def above(plan: planar.Plan, hull_center: jax.Array) -> planar.State:
    """A lander at the upper edge, whose legs are not in their places yet: the first step puts them there."""
    x, y = WIDTH / 2, HEIGHT
    position = jnp.array([(x, y), (x + AWAY, y), (x - AWAY, y)], jnp.float32)
    position = position.at[HULL_BODY].add(hull_center)
    return planar.at_rest(plan, position, jnp.array([0, -SPREAD, SPREAD], jnp.float32))
