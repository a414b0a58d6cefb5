"""Small planar worlds in Box2D itself, and what happens in them.

A `Scene` says what there is, so that others can build the same; `simulate` runs it in Box2D. `walker` and `lander` are
recorded from gymnasium's environments.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of SWIG
    import Box2D
    from Box2D import b2

STEP = 1 / 50  # s
STEPS = 150  # of scenes by default, so that those of one structure share a program
VELOCITY_ITERATIONS, POSITION_ITERATIONS = 180, 60  # gymnasium's
SCALE = 30.0


class Joint(NamedTuple):
    """A revolute joint between two bodies of a scene; anchors are in the coordinates of their polygons."""

    a: int
    b: int
    anchor_a: tuple[float, float]
    anchor_b: tuple[float, float]
    lower: float = -math.inf  # rad
    upper: float = math.inf
    reference: float = 0.0  # the angle of b - that of a at which the joint's angle is 0


class Scene(NamedTuple):
    """What there is at first, and what drives it. Bodies without density stay where they are."""

    polygons: Sequence[np.ndarray]  # float[k, 2] of each of n bodies, counterclockwise, around its origin, m
    position: np.ndarray  # float[n, 2]: of the origins
    angle: np.ndarray  # float[n]
    velocity: np.ndarray  # float[n, 2]: of the centers of mass
    spin: np.ndarray  # float[n]
    density: Sequence[float]
    friction: Sequence[float]
    joints: Sequence[Joint]
    speed: np.ndarray  # float[T, m]: of the motors in each step
    torque: np.ndarray  # float[T, m]: at most
    terrain: np.ndarray  # float[k, 2]: corners of the ground from left to right; a wall has two of one x
    ground_friction: float
    gravity: tuple[float, float]
    grounded: Sequence[int]  # bodies that collide with the ground
    pairs: Sequence[tuple[int, int]]  # bodies that collide with each other
    force: np.ndarray  # float[T, n, 2]: on the centers of mass in each step, N
    turn: np.ndarray  # float[T, n]: torques, N m


class Trace(NamedTuple):
    """Where the bodies are and how they move, before the first step and after each."""

    position: np.ndarray  # float[T + 1, n, 2]: of the centers of mass
    angle: np.ndarray  # float[T + 1, n]
    velocity: np.ndarray  # float[T + 1, n, 2]
    spin: np.ndarray  # float[T + 1, n]
    touching: np.ndarray  # bool[T + 1, n]: the ground


def scene(
    polygons: Sequence[Any],
    steps: int,
    position: Any = None,
    angle: Any = None,
    velocity: Any = None,
    spin: Any = None,
    density: Any = 1.0,
    friction: Any = 0.5,
    joints: Sequence[Joint] = (),
    speed: Any = 0.0,
    torque: Any = 0.0,
    terrain: Any = None,
    ground_friction: float = 0.5,
    gravity: tuple[float, float] = (0.0, -10.0),
    grounded: Sequence[int] | None = None,
    pairs: Sequence[tuple[int, int]] = (),
    force: Any = 0.0,
    turn: Any = 0.0,
) -> Scene:
    """A scene in which what is not given is at rest at the origin, alike for all, or not there."""
    n = len(polygons)
    if grounded is None:
        grounded = range(n) if terrain is not None else ()
    terrain = ((-1.0, 0.0), (1.0, 0.0)) if terrain is None else terrain
    full = lambda x, *shape: np.broadcast_to(np.asarray(0.0 if x is None else x, float), shape)
    return Scene(
        [np.asarray(p, float) for p in polygons],
        full(position, n, 2),
        full(angle, n),
        full(velocity, n, 2),
        full(spin, n),
        full(density, n),
        full(friction, n),
        list(joints),
        full(speed, steps, len(joints)),
        full(torque, steps, len(joints)),
        np.asarray(terrain, float),
        ground_friction,
        gravity,
        grounded,
        list(pairs),
        full(force, steps, n, 2),
        full(turn, steps, n),
    )


def box(half_width: float, half_height: float) -> np.ndarray:
    """Corners of a rectangle, counterclockwise."""
    w, h = half_width, half_height
    return np.array([(-w, -h), (w, -h), (w, h), (-w, h)])


def mass(polygon: np.ndarray, density: float) -> tuple[float, np.ndarray, float]:
    """Mass, center and inertia around it, as Box2D computes them."""
    world = b2.world()  # without which its bodies are gone
    data = world.CreateDynamicBody(fixtures=_fixture(polygon, density, 0.0)).massData
    center = np.array(data.center)
    return data.mass, center, data.I - data.mass * float(center @ center)


def _fixture(polygon, density, friction):
    shape = b2.polygonShape(vertices=[tuple(map(float, corner)) for corner in polygon])
    return b2.fixtureDef(shape=shape, density=float(density), friction=float(friction), restitution=0.0)


class _Filter(b2.contactFilter):
    """Which bodies collide; those of the ground have the number -1."""

    def __init__(self, grounded, pairs):
        super().__init__()
        self.allowed = {frozenset((-1, body)) for body in grounded} | {frozenset(pair) for pair in pairs}

    def ShouldCollide(self, a, b):  # Box2D's name
        return frozenset((a.body.userData, b.body.userData)) in self.allowed


def simulate(
    scene: Scene,
    velocity_iterations: int = VELOCITY_ITERATIONS,
    position_iterations: int = POSITION_ITERATIONS,
    continuous: bool = True,
) -> Trace:
    """Run a scene in Box2D; if `continuous`, as by default there, bodies stop where they meet the ground in a step."""
    world = Box2D.b2World(gravity=scene.gravity, doSleep=False, continuousPhysics=continuous)
    world.contactFilter = keep = _Filter(scene.grounded, scene.pairs)
    for start, end in zip(scene.terrain, scene.terrain[1:]):
        edge = b2.edgeShape(vertices=[tuple(map(float, start)), tuple(map(float, end))])
        fixture = b2.fixtureDef(shape=edge, friction=float(scene.ground_friction))
        world.CreateStaticBody(fixtures=fixture, userData=-1)
    bodies = []
    for i, polygon in enumerate(scene.polygons):
        make = world.CreateDynamicBody if scene.density[i] else world.CreateStaticBody
        at = dict(position=tuple(map(float, scene.position[i])), angle=float(scene.angle[i]), userData=i)
        body = make(fixtures=_fixture(polygon, scene.density[i], scene.friction[i]), **at)
        body.linearVelocity = tuple(map(float, scene.velocity[i]))
        body.angularVelocity = float(scene.spin[i])
        bodies.append(body)
    joints = []
    for joint in scene.joints:
        limited = math.isfinite(joint.lower) or math.isfinite(joint.upper)
        made = world.CreateRevoluteJoint(
            bodyA=bodies[joint.a],
            bodyB=bodies[joint.b],
            localAnchorA=tuple(map(float, joint.anchor_a)),
            localAnchorB=tuple(map(float, joint.anchor_b)),
            referenceAngle=joint.reference,
            enableMotor=True,
            enableLimit=limited,
            lowerAngle=joint.lower if limited else 0.0,
            upperAngle=joint.upper if limited else 0.0,
        )
        now = scene.angle[joint.b] - scene.angle[joint.a] - joint.reference
        assert abs(made.angle - now) < 1e-5, "Box2D took another angle of reference"
        joints.append(made)
    states = [_state(bodies)]
    for speeds, torques, forces, turns in zip(scene.speed, scene.torque, scene.force, scene.turn):
        for joint, speed, torque in zip(joints, speeds, torques):
            joint.motorSpeed, joint.maxMotorTorque = float(speed), float(torque)
        for body, force, turn in zip(bodies, forces, turns):
            body.ApplyForceToCenter(tuple(map(float, force)), True)
            body.ApplyTorque(float(turn), True)
        world.Step(STEP, velocity_iterations, position_iterations)
        world.ClearForces()
        states.append(_state(bodies))
    del keep
    return Trace(*map(np.array, zip(*states)))


def _state(bodies):
    touching = [any(edge.contact.touching and edge.other.type == b2.staticBody for edge in b.contacts) for b in bodies]
    return (
        [tuple(b.worldCenter) for b in bodies],
        [b.angle for b in bodies],
        [tuple(b.linearVelocity) for b in bodies],
        [b.angularVelocity for b in bodies],
        touching,
    )


def energy(scene: Scene, trace: Trace) -> np.ndarray:
    """Of the bodies that move, kinetic and potential, J: float[T + 1]."""
    total = np.zeros(len(trace.angle))
    for i, polygon in enumerate(scene.polygons):
        if scene.density[i]:
            m, _, inertia = mass(polygon, scene.density[i])
            total += m / 2 * (trace.velocity[:, i] ** 2).sum(-1) + inertia / 2 * trace.spin[:, i] ** 2
            total -= m * trace.position[:, i] @ np.asarray(scene.gravity)
    return total


# Polygons of gymnasium's walker and lander, and others.

HULL = np.array([(-30, 9), (6, 9), (34, 1), (34, -8), (-30, -8)])[::-1] / SCALE
LEG = box(4 / SCALE, 17 / SCALE)
LOWER = box(0.8 * 4 / SCALE, 17 / SCALE)
LANDER = np.array([(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)]) / SCALE
LANDER_LEG = box(2 / SCALE, 8 / SCALE)


def convex(seed: int, corners: int = 8) -> np.ndarray:
    """A random convex polygon of at most so many corners: those of an ellipse, moved and turned."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.choice(np.linspace(0, 2 * np.pi, 24, endpoint=False), corners, replace=False))
    axes, turn = rng.uniform(0.3, 2.0, 2), rng.uniform(0, np.pi)
    around = np.stack([np.cos(angles), np.sin(angles)], -1) * axes
    rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    return around @ rotation.T + rng.normal(size=2)


# Scenes.


def free_fall(steps: int = STEPS) -> Scene:
    """A hull thrown up, turning."""
    return scene([HULL], steps, position=(1, 2), angle=0.3, velocity=(3, 4), spin=-2, density=5.0)


def impulse_on_a_pair(steps: int = STEPS) -> Scene:
    """Two boxes of different sizes, jointed at their ends; an impulse of 1 N s off the center of the first."""
    m, _, inertia = mass(box(0.5, 0.2), 1.0)
    at, impulse = np.array([0.3, 0.2]), np.array([0.6, 0.8])
    return scene(
        [box(0.5, 0.2), box(0.4, 0.1)],
        steps,
        position=[(0, 0), (0.9, 0)],
        velocity=[impulse / m, (0, 0)],
        spin=[(at[0] * impulse[1] - at[1] * impulse[0]) / inertia, 0],
        joints=[Joint(0, 1, (0.5, 0.0), (-0.4, 0.0))],
        gravity=(0.0, 0.0),
    )


def pendulum(angle: float = 0.1, steps: int = STEPS) -> Scene:
    """A rod that hangs on a body that does not move, let go at an angle from below."""
    anchor = np.array([1.0, 5.0])
    position = anchor - 0.5 * np.array([-np.sin(angle), np.cos(angle)])
    return scene(
        [box(0.1, 0.1), box(0.05, 0.5)],
        steps,
        position=[anchor, position],
        angle=[0, angle],
        density=[0, 1],
        joints=[Joint(0, 1, (0, 0), (0, 0.5))],
    )


def period(trace: Trace) -> float:
    """Seconds of a swing of `pendulum`, from its passages through the middle."""
    angle = trace.angle[:, 1]
    falling = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    crossed = falling + angle[falling] / (angle[falling] - angle[falling + 1])
    return float(np.diff(crossed).mean() * STEP)


def period_of_theory(angle: float = 0.1) -> float:
    """The same by the physical pendulum's formula, to the second order in the angle."""
    m, _, inertia = mass(box(0.05, 0.5), 1.0)
    return 2 * math.pi * math.sqrt((inertia + m * 0.25) / (m * 10 * 0.5)) * (1 + angle**2 / 16)


def motor(speed: float = 4.0, torque: float = 0.05, steps: int = STEPS) -> Scene:
    """Two boxes jointed at their centers, which a motor turns against each other until it has its speed."""
    return scene(
        [box(0.5, 0.2), box(0.4, 0.1)],
        steps,
        joints=[Joint(0, 1, (0, 0), (0, 0))],
        speed=speed,
        torque=torque,
        gravity=(0.0, 0.0),
    )


def lifting(torque: float, steps: int = STEPS) -> Scene:
    """A motor that holds a rod level, or cannot: its own torque against the rod's weight is 0.5 m times 1 N."""
    return scene(
        [box(0.1, 0.1), box(0.5, 0.05)],
        steps,
        position=[(0, 5), (0.5, 5)],
        density=[0, 1],
        joints=[Joint(0, 1, (0, 0), (-0.5, 0))],
        torque=torque,
    )


def limits(speed: float, torque: float = 2.0, steps: int = STEPS) -> Scene:
    """A rod that falls, and is driven, to a limit of its joint."""
    return scene(
        [box(0.1, 0.1), box(0.5, 0.05)],
        steps,
        position=[(0, 5), (0.5, 5)],
        density=[0, 1],
        joints=[Joint(0, 1, (0, 0), (-0.5, 0), lower=-0.8, upper=1.1)],
        speed=speed,
        torque=torque,
    )


def slope(angle: float, friction: float = 0.5, steps: int = STEPS) -> Scene:
    """A box of a meter, laid on a slope; Coulomb's cone is where the tangent of the angle is the coefficient."""
    along, up = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    return scene(
        [box(0.5, 0.25)],
        steps,
        position=0.255 * up,
        angle=angle,
        friction=friction,
        ground_friction=friction,
        terrain=[-20 * along, 20 * along],
    )


def dropped(angle: float = 0.0, height: float = 1.0, steps: int = STEPS, velocity: float = 0.0) -> Scene:
    """A box that falls on level ground and comes to rest."""
    return scene(
        [box(0.4, 0.25)], steps, position=(0, height), angle=angle, velocity=(velocity, 0), terrain=[(-20, 0), (20, 0)]
    )


def stack(boxes: int = 3, steps: int = STEPS) -> Scene:
    """Boxes one on the other, a little apart at first."""
    return scene(
        [box(0.25, 0.25)] * boxes,
        steps,
        position=[(0.02 * (i % 2), 0.26 + 0.52 * i) for i in range(boxes)],
        pairs=[(i, i + 1) for i in range(boxes - 1)],
        terrain=[(-20, 0), (20, 0)],
    )


def wall(velocity: float = 2.0, push: float = 10.0, steps: int = STEPS) -> Scene:
    """A box that slides on level ground against a wall, and is pushed on it."""
    return scene(
        [box(0.25, 0.25)],
        steps,
        position=(0, 0.26),
        velocity=(velocity, 0),
        terrain=[(-20, 0), (1, 0), (1, 3), (20, 3)],
        gravity=(push, -10.0),
        ground_friction=0.1,
    )


def corner(offset: float = 0.1, angle: float = 0.4, steps: int = STEPS) -> Scene:
    """A box that falls on the corner of a step, and then down."""
    return scene(
        [box(0.4, 0.2)],
        steps,
        position=(offset, 2.0),
        angle=angle,
        terrain=[(-20, 0), (0, 0), (0, 1), (20, 1)],
    )


def mixed(steps: int = STEPS) -> Scene:
    """A jointed pair that falls across a pit's edge."""
    return scene(
        [box(0.5, 0.2), box(0.4, 0.1)],
        steps,
        position=[(0, 1.5), (0.9, 1.5)],
        angle=[0, 0],
        joints=[Joint(0, 1, (0.5, 0.0), (-0.4, 0.0), lower=-1.0, upper=1.0)],
        terrain=[(-20, 0), (0.4, 0), (0.4, -1.5), (2.0, -1.5), (2.0, 0), (20, 0)],
    )


def walker_scene(speed: np.ndarray, torque: np.ndarray, terrain: np.ndarray) -> Scene:
    """gymnasium's walker as it is made, before its first step; motors float[T, 4]."""
    x, y, down, height = 14 / SCALE * 10, 400 / SCALE / 4 + 2 * 34 / SCALE, -8 / SCALE, 34 / SCALE
    polygons, position, angle, joints = [HULL], [(x, y)], [0.0], []
    for i in (-1, 1):
        leg = len(polygons)
        polygons += [LEG, LOWER]
        position += [(x, y - height / 2 - down), (x, y - 1.5 * height - down)]
        angle += [0.05 * i, 0.05 * i]
        joints.append(Joint(0, leg, (0, down), (0, height / 2), -0.8, 1.1, 0.05 * i))
        joints.append(Joint(leg, leg + 1, (0, -height / 2), (0, height / 2), -1.6, -0.1))
    return scene(
        polygons,
        len(speed),
        position,
        angle,
        density=[5, 1, 1, 1, 1],
        friction=[0.1, 0.2, 0.2, 0.2, 0.2],
        joints=joints,
        speed=speed,
        torque=torque,
        terrain=terrain,
        ground_friction=2.5,
    )


class Played(NamedTuple):
    """What gymnasium's environment did, and its scene."""

    scene: Scene
    trace: Trace
    actions: np.ndarray
    observations: np.ndarray  # float32[T, ...]
    rewards: np.ndarray  # float[T]
    ended: np.ndarray  # bool[T]


def walker_actions(steps: int, seed: int = 0) -> np.ndarray:
    """The first one is nothing, as gymnasium's reset does; float32[steps, 4]."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, 4)).astype(np.float32)
    actions[0] = 0
    return actions


def walker(steps: int = 50, seed: int = 0, hardcore: bool = False) -> Played:
    """gymnasium's walker under random actions; it gets no push at first. The first step is that of its reset."""
    from gymnasium.envs.box2d import bipedal_walker as module

    actions = walker_actions(steps, seed)
    with mock.patch.object(module, "INITIAL_RANDOM", 0.0):
        env = module.BipedalWalker(hardcore=hardcore)
        states, out = [], []

        def step(action, original=env.step):
            states.append(_state([env.hull, *env.legs]))
            out.append(original(action))
            return out[-1]

        env.step = step
        env.reset(seed=seed)
        for action in actions[1:]:
            env.step(action)
        states.append(_state([env.hull, *env.legs]))
    terrain = np.stack([env.terrain_x, env.terrain_y], -1)
    clipped = np.clip(np.abs(actions.astype(float)), 0, 1)
    made = walker_scene(np.sign(actions) * np.array([4, 6, 4, 6]), 80 * clipped, terrain)
    return _played(made, states, actions, out)


def lander_scene(terrain: np.ndarray, force: np.ndarray, turn: np.ndarray) -> Scene:
    """gymnasium's lander as it is made, before its first step; what drives the hull, float[T, 2] and float[T]."""
    x, y, away, down = 10.0, 400 / SCALE, 20 / SCALE, 18 / SCALE
    on_hull = lambda values: np.stack([values, 0 * values, 0 * values], 1)
    return scene(
        [LANDER, LANDER_LEG, LANDER_LEG],
        len(force),
        [(x, y), (x + away, y), (x - away, y)],
        [0.0, -0.05, 0.05],
        density=[5, 1, 1],
        friction=[0.1, 0.2, 0.2],
        joints=[
            Joint(0, 1, (0, 0), (-away, down), 0.4, 0.9, -0.05),
            Joint(0, 2, (0, 0), (away, down), -0.9, -0.4, 0.05),
        ],
        speed=[-0.3, 0.3],
        torque=40.0,
        terrain=terrain,
        ground_friction=0.1,
        force=on_hull(force),
        turn=on_hull(turn),
    )


def lander(actions: np.ndarray, seed: int = 0, continuous: bool = False, initial: float = 0.0) -> Played:
    """gymnasium's lander under given actions, of which the first must be that of its reset: nothing.

    Args:
        actions: int[T], or float[T, 2] if `continuous`.
        seed: of the moon and of how engines scatter.
        continuous: the kind of actions.
        initial: the force that it gets at first, at most, N.
    """
    from gymnasium.envs.box2d import lunar_lander as module

    force, turn = [], []

    def step(world, *arguments, original=Box2D.b2World.Step):
        """What the engines did is in the hull's velocities by now; a force at first is not."""
        (vx, vy), spin = states[-1][2][0], states[-1][3][0]
        gained = np.array(env.lander.linearVelocity) - (vx, vy)
        force.append(gained * env.lander.mass / STEP)
        local = np.array(env.lander.localCenter)
        inertia = env.lander.inertia - env.lander.mass * float(local @ local)
        turn.append((env.lander.angularVelocity - spin) * inertia / STEP)
        return original(world, *arguments)

    with mock.patch.object(module, "INITIAL_RANDOM", initial), mock.patch.object(Box2D.b2World, "Step", step):
        env = module.LunarLander(continuous=continuous)
        states, out = [], []

        def played(action, original=env.step):
            states.append(_state([env.lander, *env.legs]))
            out.append(original(action))
            return out[-1]

        env.step = played
        env.reset(seed=seed)
        for action in actions[1:]:
            env.step(action)
        states.append(_state([env.lander, *env.legs]))
    corners = [poly[0] for poly in env.sky_polys] + [env.sky_polys[-1][1]]
    made = lander_scene(np.array(corners), np.array(force), np.array(turn))
    return _played(made, states, actions, out)


def _played(made, states, actions, out):
    observations, rewards, ended, *_ = zip(*out)
    trace = Trace(*map(np.array, zip(*states)))
    return Played(made, trace, actions, *map(np.array, (observations, rewards, ended)))
