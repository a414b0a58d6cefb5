"""The environments "jaxes/BipedalWalker", "jaxes/BipedalWalkerHardcore" and one whose ground is made from genes.

Observations, rewards and limits are those of gymnasium's BipedalWalker-v3.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar
from jaxes.envs.own.bipedal_walker import body, terrains
from jaxes.envs.protocol import Box, Env, EnvState

STEPS_A_SECOND = 50
SECONDS = 1 / STEPS_A_SECOND
WIDTH, HEIGHT = 600 / body.SCALE, 400 / body.SCALE  # of gymnasium's window, m, which scale velocities
STEP = 14 / body.SCALE  # m: between two vertices of the ground
GOAL = 190 * STEP  # m: where the episode ends well
LIDAR_RANGE = 160 / body.SCALE  # m
ANGLES = 1.5 * np.arange(10) / 10
RAYS = (LIDAR_RANGE * np.stack([np.sin(ANGLES), -np.cos(ANGLES)], -1)).astype(np.float32)
TORQUE_COST = 0.00035 * body.MOTOR_TORQUE
START = 10 * STEP, HEIGHT / 4 + 2 * body.LEG_HEIGHT  # of the hull, m
# The lowest parts of the body are so far from the hull, which the lidar looks ahead of; m.
BEHIND = 2.7


class Physics(NamedTuple):
    """A moment of a walker."""

    state: planar.State
    terrain: planar.Terrain
    touching: jax.Array  # bool[2]: the lower legs, as the policy is told
    edges: jax.Array  # int32[2, 2 e]: which edges of the ground each one touches, -1 for none
    shaping: jax.Array  # float32[]: whose growth is the reward
    lidar: jax.Array  # float32[10]

    @property
    def bodies(self) -> planar.Bodies:
        """Where hull and legs are."""
        return self.state.bodies


def make(
    ground: Any = terrains.flat,
    name: str = "jaxes/BipedalWalker",
    max_steps: int = 1600,
    velocity_iterations: int = 60,
    position_iterations: int = 60,
    edges: int = 5,
    window: int = 20,
) -> Env:
    plan = planar.Plan(
        joints=body.JOINTS,
        grounded=body.GROUNDED,
        watched=(body.HULL_BODY,),
        edges=edges,
        watched_edges=edges + 2,
        velocity_iterations=velocity_iterations,
        position_iterations=position_iterations,
    )
    world, centers = body.build(plan)
    hull_center = centers[0]
    constant_x = isinstance(jax.eval_shape(ground, jax.random.key(0)).x, np.ndarray)

    def reset(key):
        place, push = jax.random.split(key)
        return start(ground(place), jax.random.uniform(push, minval=-5.0, maxval=5.0))

    def start(terrain, push):
        terrain = planar.Terrain(*map(jnp.asarray, terrain))
        x, y = START
        top = y - body.HIP
        upper, lower = top - body.LEG_HEIGHT / 2, top - 1.5 * body.LEG_HEIGHT
        position = jnp.array([[x, y], [x, upper], [x, lower], [x, upper], [x, lower]], jnp.float32)
        position = position.at[0].add(hull_center)
        angle = jnp.array([0, -body.SPREAD, -body.SPREAD, body.SPREAD, body.SPREAD], jnp.float32)
        force = jnp.zeros((5, 2)).at[0, 0].set(push)
        none = jnp.full((2, 2 * edges), -1, jnp.int32)
        before = Physics(
            planar.at_rest(plan, position, angle), terrain, jnp.zeros(2, bool), none, jnp.float32(0), jnp.ones(10)
        )
        state = moment(before, jnp.zeros(4), force)
        return state._replace(reward=jnp.float32(0), done=jnp.bool_(False))

    def step(state, action):
        return moment(state.physics, jnp.clip(action, -1, 1), None)

    def moment(before: Physics, action, force) -> EnvState:
        hull = before.bodies.position[0, 0]
        near = planar.near(planar.whole(before.terrain), hull - BEHIND, window)
        motors = planar.Motors(jnp.sign(action) * body.SPEEDS, body.MOTOR_TORQUE * jnp.abs(action))
        state, met = planar.step(plan, world, before.state, near, motors, SECONDS, force)
        touching, touched = _told(before.touching, before.edges, met)
        bodies = state.bodies
        sin, cos = jnp.sin(bodies.angle[0]), jnp.cos(bodies.angle[0])
        origin = bodies.position[0] - jnp.stack(
            [cos * hull_center[0] - sin * hull_center[1], sin * hull_center[0] + cos * hull_center[1]]
        )
        lidar = planar.fractions(near, origin, RAYS)
        angle = jnp.stack([bodies.angle[b] - bodies.angle[a] for a, b in body.JOINTS]) - world.joints.reference
        speed = jnp.stack([bodies.spin[b] - bodies.spin[a] for a, b in body.JOINTS]) / body.SPEEDS
        turn, (x, y) = bodies.angle[0], bodies.velocity[0]
        seen = jnp.concatenate(
            [
                jnp.stack([turn, 2 * SECONDS * bodies.spin[0], 0.3 * SECONDS * WIDTH * x, 0.3 * SECONDS * HEIGHT * y]),
                jnp.stack([angle[0], speed[0], angle[1] + 1, speed[1], touching[0].astype(jnp.float32)]),
                jnp.stack([angle[2], speed[2], angle[3] + 1, speed[3], touching[1].astype(jnp.float32)]),
                lidar,
            ]
        )
        shaping = 130 / body.SCALE * origin[0] - 5 * jnp.abs(turn)
        gain = shaping - before.shaping - TORQUE_COST * jnp.abs(action).sum()
        lost = met.watched[0] | (origin[0] < 0)
        done = lost | (origin[0] > GOAL)
        reward = jnp.where(lost, -100, gain)
        after = Physics(state, before.terrain, touching, touched, shaping, lidar)
        return EnvState(after, seen, reward, done)

    limit = np.ones(4, np.float32)
    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    global START_AT
    START_AT = start
    return Env(name, reset, step, shape, Box(-limit, limit), max_steps, SECONDS)


def _told(told: jax.Array, before: jax.Array, met: planar.Met) -> tuple[jax.Array, jax.Array]:
    """Whether policies are told that the lower legs touch the ground, and the edges that they touch.

    gymnasium takes notice of a leg's contacts with edges one by one, when they begin and when they end: a foot that
    leaves an edge for the next one counts as lifted until it touches a further one.
    """
    lower = jnp.array([body.GROUNDED.index(part) for part in body.LOWER])
    now, struck = met.edges[lower], met.struck[lower]
    among = lambda some, others: ((some[:, :, None] == others[:, None]) & (some >= 0)[:, :, None]).any(2)
    begins = ((now >= 0) & ~among(now, before)).any(1)
    ends = ((before >= 0) & ~among(before, now)).any(1)
    told = (told | begins) & ~ends
    late = (struck >= 0) & ~among(struck, now)
    return told | late.any(1), jnp.concatenate([now, jnp.where(late, struck, -1)], 1)
