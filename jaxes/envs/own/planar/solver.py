"""A step of a planar world by sequential impulses, as Box2D takes it.

Catto: "Iterative Dynamics with Temporal Coherence", GDC 2005, and Box2D 2.3 (`b2Island.cpp`, `b2RevoluteJoint.cpp`,
`b2ContactSolver.cpp`). Velocities are solved without any push for what overlaps; positions are then put right by
themselves (nonlinear Gauss-Seidel). What held the last step is where the next one begins.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar import contacts, flight, joints, touches
from jaxes.envs.own.planar.ground import Ground
from jaxes.envs.own.planar.motion import Motion, in_turn
from jaxes.envs.own.planar.world import Bodies, Impulses, Met, Motors, Plan, State, World

MOST_MOVE, MOST_SPIN = 2.0, 0.5 * math.pi  # m and rad of a step
REST_SPEED, REST_SPIN = 0.01, 2 / 180 * math.pi  # m/s and rad/s: at most, of a body that rests


def step(
    plan: Plan,
    world: World,
    state: State,
    ground: Ground | None,
    motors: Motors,
    seconds: float = 0.02,
    force: jax.Array | None = None,
    torque: jax.Array | None = None,
) -> tuple[State, Met]:
    """The state after `seconds`.

    Args:
        plan: the structure of the world.
        world: its bodies and joints.
        state: from `at_rest` or from a step before.
        ground: the part of the terrain that bodies may reach in this step, or None where there is none.
        motors: of the joints.
        seconds: simulated ones.
        force: float32[n, 2]: on each body's center of mass, N; none by default.
        torque: float32[n]: on each body, N m.

    Returns:
        The state, and what bodies have met. Contacts hold from the positions at the step's beginning, as in Box2D, and
        a body that would get into the ground on its way is stopped there.
    """
    bodies, impulses = state
    count = len(world.inverse_mass)
    im, ii = ([values[body] for body in range(count)] for values in (world.inverse_mass, world.inverse_inertia))
    found, edges, watched = contacts.find(plan, world, bodies, ground)
    position = start = Motion.of(bodies.position, bodies.angle)
    velocity = _accelerated(world, bodies, force, torque, seconds, im, ii)
    sin, cos = [jnp.sin(angle) for angle in position.angle], [jnp.cos(angle) for angle in position.angle]
    hinges = [
        joints.joint(i, plan, world, motors, position, sin, cos, seconds, im, ii) for i in range(len(plan.joints))
    ]
    held = [touches.touch(contact, position, im, ii) for contact in found]

    by_hinges = [
        [impulses.point[i, 0], impulses.point[i, 1], joints.kept(impulses.limit[i], hinge), impulses.motor[i]]
        for i, hinge in enumerate(hinges)
    ]
    by_touches = [list(pair) for pair in contacts.remembered(plan, found, impulses)]
    for touch, (normal, tangent) in zip(held, by_touches):
        velocity = touches.touched(touches.touched(velocity, touch.normal, normal), touch.tangent, tangent)
    for hinge, (x, y, limit, motor) in zip(hinges, by_hinges):
        velocity = joints.joined(velocity, hinge, im, ii, x, y, limit + motor)

    solve_hinge = functools.partial(joints.solve, im=im, ii=ii)

    def iteration(_, carry):
        velocity, by_hinges, by_touches = carry
        velocity, by_hinges = in_turn(solve_hinge, velocity, hinges, by_hinges)
        velocity, by_touches = in_turn(touches.solve, velocity, held, by_touches)
        return velocity, by_hinges, by_touches

    carry = velocity, by_hinges, by_touches
    velocity, by_hinges, by_touches = jax.lax.fori_loop(0, plan.velocity_iterations, iteration, carry)
    velocity = _bounded(velocity, seconds)
    position = Motion(*(tuple(p + seconds * v for p, v in zip(ps, vs)) for ps, vs in zip(position, velocity)))
    anchors = [touches.Anchored.of(contact, start) for contact in found]

    def correction(carry):
        turn, _, position = carry
        right = jnp.bool_(True)
        for anchor in anchors:
            position, apart = touches.push_apart(position, anchor, im, ii, touches.SHARE)
            right &= apart >= -3 * touches.SLOP
        for hinge in hinges:
            position, off, beyond = joints.pull_together(position, hinge, im, ii)
            right &= (off <= touches.SLOP) & (beyond <= joints.ANGULAR_SLOP)
        return turn + 1, right, position

    goes_on = lambda carry: (carry[0] < plan.position_iterations) & ~carry[1]
    _, settled, position = jax.lax.while_loop(goes_on, correction, (jnp.int32(0), jnp.bool_(False), position))
    slow = _slow(velocity)
    struck = []
    if ground is not None:
        position, velocity, struck = flight.stopped(plan, world, ground, start, position, velocity, seconds, im, ii)
        watched = [now | flight.hits(plan, world, ground, body, position) for now, body in zip(watched, plan.watched)]
    array = lambda values, like: jnp.stack(values) if values else like
    kept = Impulses(
        jnp.stack([jnp.stack(h[:2]) for h in by_hinges]) if by_hinges else impulses.point,
        array([h[2] for h in by_hinges], impulses.limit),
        array([h[3] for h in by_hinges], impulses.motor),
        array([h[0] for h in by_touches], impulses.normal),
        array([h[1] for h in by_touches], impulses.tangent),
        array([contact.points.ids for contact in found], impulses.ids),
    )
    nothing = jnp.zeros((0, plan.edges), jnp.int32)
    met = Met(array(edges, nothing), array(struck, nothing), array(watched, jnp.zeros(0, bool)), slow, settled)
    (place, angle), (speed, spin) = position.arrays(), velocity.arrays()
    return State(Bodies(place, angle, speed, spin), kept), met


def _accelerated(world, bodies, force, torque, seconds, im, ii) -> Motion:
    """Velocities after gravity and what else acts on bodies."""
    velocity = Motion.of(bodies.velocity, bodies.spin)
    for body in range(len(im)):
        moves = jnp.where(im[body] > 0, seconds, 0)
        pull = [world.gravity[axis] + (0 if force is None else force[body, axis] * im[body]) for axis in (0, 1)]
        turn = 0 if torque is None else seconds * ii[body] * torque[body]
        velocity = velocity.pushed(body, moves * pull[0], moves * pull[1], turn)
    return velocity


def _bounded(velocity: Motion, seconds: float) -> Motion:
    """No body moves farther in a step than it may."""
    shorter = lambda size, most: jnp.minimum(1, most / jnp.maximum(size * seconds, 1e-9))
    scale = [shorter(jnp.sqrt(x * x + y * y), MOST_MOVE) for x, y in zip(velocity.x, velocity.y)]
    times = lambda values: tuple(value * s for value, s in zip(values, scale))
    return Motion(
        times(velocity.x), times(velocity.y), tuple(w * shorter(jnp.abs(w), MOST_SPIN) for w in velocity.angle)
    )


def _slow(velocity: Motion) -> jax.Array:
    """Whether all bodies may rest."""
    moves = [x * x + y * y > REST_SPEED**2 for x, y in zip(velocity.x, velocity.y)]
    turns = [jnp.abs(spin) > REST_SPIN for spin in velocity.angle]
    return ~jnp.stack([*moves, *turns]).any()
