"""The scenes of `references/box2d_worlds.py` in our own core."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from references import box2d_worlds
from references.box2d_worlds import Scene, Trace

from jaxes.envs.own import planar

CORNERS = 6  # of the ground of every scene that has no more, so that they share a program


def plan_of(scene: Scene, velocity_iterations: int = 180, position_iterations: int = 60, **more) -> planar.Plan:
    """The structure of a scene; iterations are those of Box2D there."""
    moving = tuple(i for i in scene.grounded if scene.density[i])
    return planar.Plan(
        joints=tuple((joint.a, joint.b) for joint in scene.joints),
        grounded=moving,
        pairs=tuple(scene.pairs),
        velocity_iterations=velocity_iterations,
        position_iterations=position_iterations,
        **more,
    )


def built(scene: Scene, plan: planar.Plan):
    """The world, its first state, its ground, and of each step the motors, forces and torques."""
    column = lambda name, shape: jnp.asarray([getattr(j, name) for j in scene.joints], jnp.float32).reshape(shape)
    m = len(scene.joints)
    joints = planar.Joints(
        column("anchor_a", (m, 2)), column("anchor_b", (m, 2)), *(column(x, m) for x in ("reference", "lower", "upper"))
    )
    world, centers = planar.world(
        plan,
        [jnp.asarray(polygon, jnp.float32) for polygon in scene.polygons],
        scene.density,
        scene.friction,
        scene.ground_friction,
        joints,
        scene.gravity,
    )
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    x, y = np.asarray(centers).T
    position = scene.position + np.stack([cos * x - sin * y, sin * x + cos * y], -1)
    as_float = lambda x: jnp.asarray(x, jnp.float32)
    state = planar.at_rest(plan, as_float(position), as_float(scene.angle))
    state = state._replace(bodies=state.bodies._replace(velocity=as_float(scene.velocity), spin=as_float(scene.spin)))
    terrain = planar.check(np.array(scene.terrain).T)
    ground = planar.whole(planar.Terrain(*(np.pad(v, (0, max(0, CORNERS - len(v))), "edge") for v in terrain)))
    motors = planar.Motors(as_float(scene.speed), as_float(scene.torque))
    return world, state, ground, (motors, as_float(scene.force), as_float(scene.turn))


@functools.partial(jax.jit, static_argnums=(0, 5))
def _run(plan, world, state, ground, driven, steps):
    def move(state, now):
        motors, force, torque = now
        state, met = planar.step(plan, world, state, ground, motors, box2d_worlds.STEP, force, torque)
        return state, (state.bodies, _touching(plan, state, met))

    first = state.bodies
    _, (bodies, touching) = jax.lax.scan(move, state, driven, length=steps)
    return first, bodies, touching


def _touching(plan, state, met):
    """Bodies that touched the ground in this step, bool[n], which is not known of those that do not collide with it."""
    held = ((met.edges >= 0) | (met.struck >= 0)).any(1)
    out = jnp.zeros(len(state.bodies.angle), bool)
    return out.at[jnp.array(plan.grounded, jnp.int32)].set(held) if plan.grounded else out


def simulate(scene: Scene, **settings) -> Trace:
    """What our core makes of it."""
    plan = plan_of(scene, **settings)
    first, bodies, touching = _run(plan, *built(scene, plan), len(scene.speed))
    with_first = lambda a, b: np.concatenate([np.asarray(a)[None], np.asarray(b)])
    touching = with_first(np.zeros(len(first.angle), bool), touching)
    return Trace(*map(with_first, first, bodies), touching)


def in_order(scene: Scene, joints: list[int], grounded: list[int]) -> Scene:
    """With joints and bodies in another order; Box2D solves first what was made last, and then its neighbors."""
    return scene._replace(
        joints=[scene.joints[i] for i in joints],
        speed=scene.speed[:, joints],
        torque=scene.torque[:, joints],
        grounded=grounded,
    )


def walker_in_order(scene: Scene) -> Scene:
    """Likewise of a walker."""
    return in_order(scene, [3, 2, 0, 1], [4, 3, 0, 1, 2])


def lander_in_order(scene: Scene) -> Scene:
    """Likewise of a lander."""
    return in_order(scene, [1, 0], [2, 0, 1])
