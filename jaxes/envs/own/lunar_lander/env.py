"""The environments "jaxes/LunarLander" and "jaxes/LunarLanderContinuous": those of gymnasium's LunarLander-v3."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar
from jaxes.envs.own.lunar_lander import body, drawing, forces, moon
from jaxes.envs.own.planar import broken, feet
from jaxes.envs.own.planar.collision import rotated
from jaxes.envs.protocol import Box, Discrete, Env, EnvState
from jaxes.support import checks

STEPS_A_SECOND = 50
SECONDS = 1 / STEPS_A_SECOND
FIRST_FORCE = 1000.0  # N: on the hull in the first step, at most, in both directions
REST = 0.5  # s: after which bodies that hardly move fall asleep
MAIN_COST, SIDE_COST = 0.3, 0.03  # of a step with full power
START = 9999  # where the wind's indices start, at most
HALF_WIDTH, HALF_HEIGHT = moon.WIDTH / 2, moon.HEIGHT / 2


class Physics(NamedTuple):
    """A moment of a lander."""

    state: planar.State
    ground: jax.Array  # float32[11]: heights of the moon's corners, m
    touching: jax.Array  # bool[2]: the legs, as the policy is told
    edges: jax.Array  # int32[2, 2 e]: which edges of the moon each one touches, -1 for none
    rest: jax.Array  # float32[]: for how long nothing has moved, s
    shaping: jax.Array  # float32[]: whose growth is the reward
    wind: jax.Array  # int32[2]: the moment of the wind's force and of its torque
    main: jax.Array  # float32[]: power of the main engine in the last step
    side: jax.Array  # float32[]: of the side engines, below 0 for the one at the other side
    key: jax.Array  # key[]: of how the engines will scatter

    @property
    def bodies(self) -> planar.Bodies:
        """Where the hull and the legs are."""
        return self.state.bodies


def make(
    continuous: bool = False,
    gravity: float = -10.0,
    enable_wind: bool = False,
    wind_power: float = 15.0,
    turbulence_power: float = 1.5,
    velocity_iterations: int = 180,
    position_iterations: int = 60,
) -> Env:
    """The environment "jaxes/LunarLander".

    Observations, float32[8], rewards, the moon, the engines and their scatter, wind, and where an episode ends are
    gymnasium's: where the hull touches the moon or the lander leaves the picture (-100), and where it has come to rest
    (+100). Physics that breaks down ends the episode with NaN as its reward.

    Args:
        continuous: actions are float32[2], the main engine's throttle and the side engines', clipped to [-1, 1]; else
            they are 0 (nothing), 1 and 3 (the side engines) or 2 (the main engine).
        gravity: m/s^2, between -12 and 0.
        enable_wind: it blows as long as no leg touches the moon.
        wind_power: the largest force, N, from 0 to 20, of which gymnasium only warns.
        turbulence_power: the largest torque, N m, from 0 to 2; likewise.
        velocity_iterations: of the physics, 1 or more; by default gymnasium's.
        position_iterations: likewise, at most.

    Raises:
        TypeError: if a switch is neither True nor False.
        ValueError: if another argument is no number in its range.

    >>> import jax, jaxes
    >>> env = jaxes.envs.make("jaxes/LunarLander", enable_wind=True)
    >>> env.observation.shape, env.action, env.max_steps
    ((8,), Discrete(n=4), 1000)
    """
    for name, switch in (("continuous", continuous), ("enable_wind", enable_wind)):
        if not isinstance(switch, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, got {switch!r}")
    checks.real("gravity", gravity, "between -12 and 0", lambda x: -12 < x < 0)
    checks.real("wind_power", wind_power, "from 0 to 20", lambda x: 0 <= x <= 20)
    checks.real("turbulence_power", turbulence_power, "from 0 to 2", lambda x: 0 <= x <= 2)
    checks.count("velocity_iterations", velocity_iterations)
    checks.count("position_iterations", position_iterations)

    plan = planar.Plan(
        joints=body.JOINTS,
        grounded=body.GROUNDED,
        watched=(body.HULL_BODY,),
        edges=2,  # of two meters each, below parts that are smaller
        watched_edges=2,
        velocity_iterations=velocity_iterations,
        position_iterations=position_iterations,
    )
    with jax.ensure_compile_time_eval(), jax.enable_x64(False):
        world, hull_center = body.build(plan, gravity)
        springs = body.springs()
    im, ii = world.inverse_mass[body.HULL_BODY], world.inverse_inertia[body.HULL_BODY]

    def reset(key):
        key, *keys = jax.random.split(key, 4)
        wind = jax.random.randint(keys[2], (2,), -START, START, jnp.int32)
        push = jax.random.uniform(keys[1], (2,), jnp.float32, minval=-FIRST_FORCE, maxval=FIRST_FORCE)
        return start(moon.draw(keys[0]), push, wind, key)

    def start(ground, push, wind, key) -> EnvState:
        """The first moment, on a given moon, float32[11], after a step with a given force, float32[2]."""
        zero = jnp.float32(0)
        legs = jnp.zeros(2, bool), feet.none(plan, body.LEGS)
        at_rest = body.above(plan, hull_center)
        before = Physics(at_rest, ground, *legs, zero, zero, wind, zero, zero, key)
        state = moment(before, forces.Engines(zero, zero), push)
        return state._replace(reward=zero, done=jnp.bool_(False))

    def step(state, action):
        engines = forces.throttled(action) if continuous else forces.chosen(action)
        return moment(state.physics, engines, jnp.zeros(2, jnp.float32))

    def moment(before: Physics, engines: forces.Engines, push) -> EnvState:
        key, scattering = jax.random.split(before.key)
        scatter = jax.random.uniform(scattering, (2,), jnp.float32, minval=-1.0, maxval=1.0)
        state, wind, torque = before.state, before.wind, jnp.float32(0)
        if enable_wind:
            blows = ~before.touching.any()
            push += jnp.where(blows, jnp.stack([forces.gust(wind[0], wind_power), jnp.float32(0)]), 0)
            torque = jnp.where(blows, forces.gust(wind[1], turbulence_power), 0)
            wind += blows.astype(jnp.int32)
        angle = state.bodies.angle[0]
        speed, spin = forces.pushed(engines, scatter, angle, _turned(hull_center, angle), im, ii)
        bodies = state.bodies
        bodies = bodies._replace(velocity=bodies.velocity.at[0].add(speed), spin=bodies.spin.at[0].add(spin))
        only_hull = lambda x: jnp.stack([x, jnp.zeros_like(x), jnp.zeros_like(x)])
        state, met = planar.step(
            plan,
            world,
            state._replace(bodies=bodies),
            moon.ground(before.ground),
            springs,
            SECONDS,
            only_hull(push),
            only_hull(torque),
        )
        touching, edges = feet.told(plan, body.LEGS, before.touching, before.edges, met)
        rest = jnp.where(met.slow, before.rest + SECONDS, 0)
        asleep = (rest >= REST) & met.settled
        state = _stopped(state, asleep)
        seen = _seen(state.bodies, hull_center, touching)
        shaping = _shaping(seen)
        lost = met.watched[0] | (jnp.abs(seen[0]) >= 1)
        cost = MAIN_COST * engines.main + SIDE_COST * jnp.abs(engines.side)
        reward = jnp.where(asleep, 100, jnp.where(lost, -100, shaping - before.shaping - cost))
        after = Physics(state, before.ground, touching, edges, rest, shaping, wind, *engines, key)
        return broken.ended(EnvState(after, seen, reward, lost | asleep))

    limit = np.ones(2, np.float32)
    name = "jaxes/LunarLanderContinuous" if continuous else "jaxes/LunarLander"
    action = Box(-limit, limit) if continuous else Discrete(4)
    shape = jax.ShapeDtypeStruct((8,), jnp.float32)
    return Env(name, reset, step, shape, action, 1000, SECONDS, drawing.frames)


def make_continuous(**options) -> Env:
    """The environment "jaxes/LunarLanderContinuous": `make(continuous=True)`; `options` are its others.

    >>> make_continuous().action.low.shape
    (2,)
    """
    return make(continuous=True, **options)


def _stopped(state: planar.State, asleep: jax.Array) -> planar.State:
    """Bodies that sleep do not move at all."""
    still = lambda x: jnp.where(asleep, 0, x)
    bodies = state.bodies
    return state._replace(bodies=bodies._replace(velocity=still(bodies.velocity), spin=still(bodies.spin)))


def _turned(vector: jax.Array, angle: jax.Array) -> jax.Array:
    return rotated(vector, jnp.cos(angle), jnp.sin(angle))


def _seen(bodies: planar.Bodies, hull_center: jax.Array, touching: jax.Array) -> jax.Array:
    """The observation, float32[8]."""
    angle = bodies.angle[0]
    x, y = bodies.position[0] - _turned(hull_center, angle)
    right, up = bodies.velocity[0]
    left_leg, right_leg = touching.astype(jnp.float32)
    return jnp.stack(
        [
            (x - HALF_WIDTH) / HALF_WIDTH,
            (y - (moon.PAD + body.DOWN)) / HALF_HEIGHT,
            right * (HALF_WIDTH / STEPS_A_SECOND),
            up * (HALF_HEIGHT / STEPS_A_SECOND),
            angle,
            bodies.spin[0] * (20 / STEPS_A_SECOND),
            left_leg,
            right_leg,
        ]
    )


def _shaping(seen: jax.Array) -> jax.Array:
    """How good a moment is: near the pad, slow, upright, on its legs."""
    length = lambda x, y: jnp.sqrt(x * x + y * y)
    far = length(seen[0], seen[1]) + length(seen[2], seen[3]) + jnp.abs(seen[4])
    return 10 * (seen[6] + seen[7]) - 100 * far
