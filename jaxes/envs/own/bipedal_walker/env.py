"""A walker that has to get to the end of its ground: gymnasium's BipedalWalker-v3, in compiled programs."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar
from jaxes.envs.own.bipedal_walker import body, drawing
from jaxes.envs.own.bipedal_walker.grass import LEVEL, POINTS, STEP
from jaxes.envs.own.planar import broken, feet
from jaxes.envs.protocol import Box, Env, EnvState

SECONDS = 1 / 50
WIDTH, HEIGHT = 600 / body.SCALE, 400 / body.SCALE  # of gymnasium's window, m, by which velocities are scaled
GOAL = (POINTS - 10) * STEP  # m: where an episode ends well
START = 10 * STEP, LEVEL + 2 * body.LEG_HEIGHT  # of the hull, m
PUSH = 5.0  # N: of the first step, at most
FALL = -100.0  # the reward for it
TORQUE_COST = 0.00035 * body.MOTOR_TORQUE
LIDAR_RANGE = 160 / body.SCALE  # m
ANGLES = 1.5 * np.arange(10) / 10  # rad from straight down
RAYS = (LIDAR_RANGE * np.stack([np.sin(ANGLES), -np.cos(ANGLES)], -1)).astype(np.float32)
BEHIND = 2.7  # m: how far behind the hull a leg can be; the lidar looks ahead
LEG_SPAN, HULL_SPAN, SIGHT = 1.6, 2.4, BEHIND + LIDAR_RANGE  # m of the ground that each can be above in one step


class Reach(NamedTuple):
    """How many edges of a ground are near, at most."""

    leg: int  # to a part of a leg
    hull: int
    sight: int  # from the rearmost leg to the end of the lidar's rays

    @classmethod
    def of(cls, x: np.ndarray) -> "Reach":
        """On ground with vertices at float[n], which never falls."""
        most = lambda span: int((np.searchsorted(x, x + span, "right") - np.arange(len(x))).max()) + 1
        return cls(most(LEG_SPAN), most(HULL_SPAN), most(SIGHT))


EVEN = Reach(5, 7, 19)  # vertices are a step apart
STEEP = Reach(9, 13, 38)  # two are between two steps


class Physics(NamedTuple):
    """A moment of a walker."""

    state: planar.State
    terrain: planar.Terrain
    touching: jax.Array  # bool[2]: whether the lower legs count as standing on the ground
    edges: jax.Array  # int32[2, 2 e]: the edges of the ground that they touch
    shaping: jax.Array  # float32[]: whose growth is the reward
    lidar: jax.Array  # float32[10]: how far each ray gets, 1 for all the way

    @property
    def bodies(self) -> planar.Bodies:
        """Where the hull and the legs are, in gymnasium's order."""
        return self.state.bodies


def build(
    name: str,
    ground: Callable[[jax.Array], planar.Terrain],
    reach: Reach,
    max_steps: int,
    velocity_iterations: int,
    position_iterations: int,
) -> tuple[Env, Callable[[planar.Terrain, jax.Array], EnvState]]:
    """An environment on the ground that `ground(key)` gives; and how its episodes begin, `begin(terrain, push)`.

    Args:
        name: of the environment.
        ground: of an episode.
        reach: how many of its edges are near.
        max_steps: of an episode.
        velocity_iterations: of the physics, see `planar.Plan`.
        position_iterations: likewise.
    """
    plan = planar.Plan(
        joints=body.JOINTS,
        grounded=body.GROUNDED,
        watched=(body.HULL_BODY,),
        edges=reach.leg,
        watched_edges=reach.hull,
        velocity_iterations=velocity_iterations,
        position_iterations=position_iterations,
    )
    with jax.ensure_compile_time_eval(), jax.enable_x64(False):
        world, centers = body.build(plan)

    def reset(key):
        place, push = jax.random.split(key)
        return begin(ground(place), jax.random.uniform(push, minval=-PUSH, maxval=PUSH))

    def begin(terrain, push):
        """The first moment: after one step in which nothing drives the joints."""
        terrain = planar.Terrain(jnp.asarray(terrain.x), jnp.asarray(terrain.y))
        state = planar.at_rest(plan, *body.standing(*START, centers))
        edges = feet.none(plan, body.LOWER)
        before = Physics(state, terrain, jnp.zeros(2, bool), edges, jnp.float32(0), jnp.ones(len(RAYS), jnp.float32))
        force = jnp.zeros((5, 2), jnp.float32).at[0, 0].set(push)
        first = moment(before, jnp.zeros(4, jnp.float32), force)
        return first._replace(reward=jnp.float32(0), done=jnp.bool_(False))

    def step(state, action):
        return moment(state.physics, jnp.clip(action, -1, 1), None)

    def moment(before: Physics, action, force) -> EnvState:
        near = planar.near(planar.whole(before.terrain), before.bodies.position[0, 0] - BEHIND, reach.sight)
        state, met = planar.step(plan, world, before.state, near, body.motors(action), SECONDS, force)
        touching, edges = feet.told(plan, body.LOWER, before.touching, before.edges, met)
        bodies = state.bodies
        origin = body.origin(bodies, centers)
        lidar = planar.fractions(near, origin, jnp.asarray(RAYS))
        turn, (x, y) = bodies.angle[0], bodies.velocity[0]
        hull = [turn, 2 * SECONDS * bodies.spin[0], 0.3 * SECONDS * WIDTH * x, 0.3 * SECONDS * HEIGHT * y]
        hips, knees = body.joints(world, bodies)
        legs = []
        for hip, knee, stands in zip(hips, knees, touching):
            legs += [hip.angle, hip.speed / body.HIP_SPEED, knee.angle + 1, knee.speed / body.KNEE_SPEED, stands]
        seen = jnp.concatenate([jnp.stack([jnp.float32(x) for x in (*hull, *legs)]), lidar])
        shaping = 130 / body.SCALE * origin[0] - 5 * jnp.abs(turn)
        gain = shaping - before.shaping - TORQUE_COST * jnp.abs(action).sum()
        lost = met.watched[0] | (origin[0] < 0)
        after = Physics(state, before.terrain, touching, edges, shaping, lidar)
        ended = lost | (origin[0] > GOAL)
        return broken.ended(EnvState(after, seen, jnp.where(lost, FALL, gain), ended))

    limit = np.ones(4, np.float32)
    shape = jax.ShapeDtypeStruct((14 + len(RAYS),), jnp.float32)
    env = Env(name, reset, step, shape, Box(-limit, limit), max_steps, SECONDS, frames=drawing.frames)
    return env, begin
