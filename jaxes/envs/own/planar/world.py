"""What a planar world is made of, and what moves in it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar import shapes


class Joints(NamedTuple):
    """Revolute joints, each between a body A and a body B."""

    anchor_a: jax.Array  # float32[m, 2]: where it is on A, from A's center of mass in A's coordinates, m
    anchor_b: jax.Array  # float32[m, 2]: likewise on B
    reference: jax.Array  # float32[m]: the angle of B minus that of A where the joint's angle is 0, rad
    lower: jax.Array  # float32[m]: limits of the joint's angle, rad
    upper: jax.Array  # float32[m]


class World(NamedTuple):
    """The bodies of a world and what joins them. All leaves are arrays, so worlds can be traced, mapped and mutated."""

    shapes: tuple[jax.Array, ...]  # float32[k, 2] of each body: a convex polygon around its center of mass, m
    inverse_mass: jax.Array  # float32[n]: 1/kg, 0 for a body that nothing moves
    inverse_inertia: jax.Array  # float32[n]: 1/(kg m^2)
    friction: jax.Array  # float32[n]: Coulomb's coefficient of each body; of two that touch, the root of the product
    ground_friction: jax.Array  # float32[]
    joints: Joints
    gravity: jax.Array  # float32[2]: m/s^2


class Bodies(NamedTuple):
    """Where bodies are and how they move."""

    position: jax.Array  # float32[n, 2]: of the centers of mass, m
    angle: jax.Array  # float32[n]: rad
    velocity: jax.Array  # float32[n, 2]: of the centers of mass, m/s
    spin: jax.Array  # float32[n]: rad/s


class Impulses(NamedTuple):
    """What held the joints and contacts of the last step, with which the next one begins ("warm start"), in N s."""

    point: jax.Array  # float32[m, 2]: of each joint
    limit: jax.Array  # float32[m]: N m s, positive at the lower limit
    motor: jax.Array  # float32[m]: N m s
    normal: jax.Array  # float32[c]: of each contact point
    tangent: jax.Array  # float32[c]
    ids: jax.Array  # int32[c]: which point it is, -1 where there is none


class Motors(NamedTuple):
    """What drives the joints."""

    speed: jax.Array  # float32[m]: wanted, rad/s
    torque: jax.Array  # float32[m]: at most, N m


class Met(NamedTuple):
    """What of the ground bodies have met in a step, as Box2D's listeners hear of it."""

    edges: jax.Array  # int32[g, e]: the numbers of edges that each grounded body touched at first, -1 for none
    struck: jax.Array  # int32[g, e]: and of those that stopped it on its way
    watched: jax.Array  # bool[w]: whether a watched body touched anything
    slow: jax.Array  # bool[]: whether all bodies were as slow as resting ones, before any was stopped
    settled: jax.Array  # bool[]: whether joints and contacts came to be right to some millimeters


class State(NamedTuple):
    """All that a step needs of the step before."""

    bodies: Bodies
    impulses: Impulses


class Plan(NamedTuple):
    """The structure of a world, which is known while tracing.

    Args:
        joints: the bodies A and B of each joint, of which at least one can move.
        grounded: the bodies that collide with the ground.
        watched: the bodies of which is only told whether they touch the ground, which does not hold them.
        pairs: the pairs of bodies that collide with each other, of which at least one can move.
        edges: how many edges of the ground a grounded body can overlap at once, at most.
        watched_edges: likewise of a watched one.
        points: at how many points the ground can hold a body at once; the deepest ones count.
        velocity_iterations: of the solver of velocities.
        position_iterations: of the solver of positions, at most: it ends where all is right to some millimeters.
    """

    joints: tuple[tuple[int, int], ...] = ()
    grounded: tuple[int, ...] = ()
    watched: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    edges: int = 5
    watched_edges: int = 7
    points: int = 4
    velocity_iterations: int = 60
    position_iterations: int = 60


def world(
    plan: Plan,
    polygons: Sequence[jax.Array],
    density: Sequence[float | jax.Array],
    friction: Sequence[float | jax.Array],
    ground_friction: float | jax.Array = 1.0,
    joints: Joints | None = None,
    gravity: tuple[float, float] = (0.0, -10.0),
) -> tuple[World, jax.Array]:
    """A world of polygons of even density.

    Args:
        plan: of which the joints are needed.
        polygons: float32[k, 2] for each body, convex and counterclockwise, of 3 to 8 corners, in coordinates of its
            own.
        density: of each body, kg/m^2; 0 makes a body that nothing moves.
        friction: of each body.
        ground_friction: of the ground.
        joints: anchors are given in the coordinates of the polygons.
        gravity: m/s^2.

    Returns:
        The world, and where the centers of mass are in the polygons' coordinates, float32[n, 2].

    Raises:
        ValueError: if a polygon has another shape, or if one that is not traced is not convex and counterclockwise.

    >>> import jax.numpy as jnp
    >>> w, centers = world(Plan(), [shapes.box(0.5, 0.5) + 1.0], [2.0], [0.3])
    >>> w.inverse_mass.tolist(), centers.tolist()
    ([0.5], [[1.0, 1.0]])
    """
    polygons = [shapes.check(f"polygons[{body}]", polygon) for body, polygon in enumerate(polygons)]
    masses = [shapes.mass(polygon) for polygon in polygons]
    centers = jnp.stack([m.center for m in masses])
    inverse = lambda x: jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1), 0)
    per_area = jnp.stack([jnp.float32(d) for d in density])
    joints = no_joints() if joints is None else joints
    if plan.joints:
        ends = [jnp.stack([centers[body] for body in bodies]) for bodies in zip(*plan.joints)]
        joints = joints._replace(anchor_a=joints.anchor_a - ends[0], anchor_b=joints.anchor_b - ends[1])
    made = World(
        tuple(polygon - m.center[None] for polygon, m in zip(polygons, masses)),
        inverse(per_area * jnp.stack([m.mass for m in masses])),
        inverse(per_area * jnp.stack([m.inertia for m in masses])),
        jnp.stack([jnp.float32(f) for f in friction]),
        jnp.float32(ground_friction),
        joints,
        jnp.array(gravity, jnp.float32),
    )
    return made, centers


def no_joints() -> Joints:
    """Joints of a world without any."""
    none = jnp.zeros(0, jnp.float32)
    return Joints(none.reshape(0, 2), none.reshape(0, 2), none, none, none)


def at_rest(plan: Plan, position: jax.Array, angle: jax.Array) -> State:
    """Bodies that do not move yet, float32[n, 2] and float32[n], and that nothing has held so far."""
    joints, contacts = len(plan.joints), plan.points * len(plan.grounded) + 2 * len(plan.pairs)
    bodies = Bodies(position, angle, jnp.zeros_like(position), jnp.zeros_like(angle))
    zeros = lambda *shape: jnp.zeros(shape, jnp.float32)
    none = jnp.full(contacts, -1, jnp.int32)
    return State(
        bodies, Impulses(zeros(joints, 2), zeros(joints), zeros(joints), zeros(contacts), zeros(contacts), none)
    )
