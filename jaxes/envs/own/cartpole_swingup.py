"""Cart-pole swing-up of the DeepMind Control Suite with dynamics and reward written out, without a physics engine.

Tassa et al.: "DeepMind Control Suite", 2018, arXiv:1801.00690. The constants are from dm_control's `cartpole.xml`. The
motion is the one that MuJoCo computes for that model, with the soft limits of the rail and the same fourth-order
Runge-Kutta method.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs import drawings
from jaxes.envs.protocol import Box, Env, EnvState

STEP_SECONDS = 0.01
GRAVITY = 9.81
CART_MASS, POLE_MASS = 1.0, 0.1  # kg
POLE_LENGTH, POLE_RADIUS = 1.0, 0.045  # of the capsule between the centers of its caps, m
CART_DAMPING, HINGE_DAMPING = 5e-4, 2e-6  # N s/m, N m s/rad
GEAR = 10.0  # N at an action of 1
RAIL = 1.8  # where the limits of the rail begin, m
RAIL_TIME, RAIL_DAMPING_RATIO = 0.08, 1.0  # `solreflimit`
IMPEDANCE, IMPEDANCE_AT_0, IMPEDANCE_WIDTH = 0.95, 0.9, 0.001  # MuJoCo's default `solimp`: dmax, d0, width


def _pole_inertia() -> float:
    """The inertia, in kg m^2, of a solid capsule (a cylinder and two half balls) around an axis across its center."""
    length, r = POLE_LENGTH, POLE_RADIUS
    cylinder, balls = math.pi * r**2 * length, 4 / 3 * math.pi * r**3
    density = POLE_MASS / (cylinder + balls)
    ends = 2 / 5 * r**2 + length**2 / 4 + 3 / 8 * length * r
    return density * (cylinder * (3 * r**2 + length**2) / 12 + balls * ends)


POLE_INERTIA = _pole_inertia()
_ARM = POLE_LENGTH / 2  # from the hinge to the pole's center of mass
_MASS = CART_MASS + POLE_MASS
_MOMENT = POLE_INERTIA + POLE_MASS * _ARM**2
_COUPLING = POLE_MASS * _ARM
# For the soft limit, which MuJoCo regularizes by the inverse inertia of the cart with the pole upright.
_UPRIGHT_INVERSE = _MOMENT / (_MASS * _MOMENT - _COUPLING**2)
_STIFFNESS = 1 / (IMPEDANCE * RAIL_TIME * RAIL_DAMPING_RATIO) ** 2
_RAIL_DAMPING = 2 / (IMPEDANCE * RAIL_TIME)


class Physics(NamedTuple):
    """Where cart and pole are, and how fast they move."""

    x: jax.Array  # float32[]: m
    angle: jax.Array  # float32[]: rad, 0 where the pole stands upright
    speed: jax.Array  # float32[]: m/s
    turn: jax.Array  # float32[]: rad/s


def sin_cos(angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sine and cosine to 1e-7 for angles up to some thousands, by the polynomials of Cephes (Moshier 1989).

    On CPUs XLA computes the sine of one number after the other; this uses vector units and is five times as fast.
    """
    quarter = jnp.round(angle * (2 / math.pi))
    # The quarter turns are taken off in three parts, of which the first two have few digits.
    rest = ((angle - quarter * 1.5703125) - quarter * 4.837512969970703e-4) - quarter * 7.549789948768648e-8
    square = rest * rest
    sin = rest + rest * square * (-1.6666654611e-1 + square * (8.3321608736e-3 - square * 1.9515295891e-4))
    cos = 1 - square / 2 + square**2 * (4.166664568e-2 + square * (-1.388731625e-3 + square * 2.443315712e-5))
    turns = quarter.astype(jnp.int32)
    odd, back = turns % 2 == 1, turns & 2 != 0
    sin, cos = jnp.where(odd, cos, sin), jnp.where(odd, sin, cos)
    return jnp.where(back, -sin, sin), jnp.where((turns + 1) & 2 != 0, -cos, cos)


def accelerations(physics: Physics, force: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The accelerations of cart (m/s^2) and angle (rad/s^2) under `force` (N) on the cart, and the rail's limits."""
    x, angle, speed, turn = physics
    sin, cos = sin_cos(angle)
    coupling = _COUPLING * cos
    inverse = 1 / (_MASS * _MOMENT - coupling**2)
    push = force - CART_DAMPING * speed + _COUPLING * sin * turn**2
    torque = POLE_MASS * GRAVITY * _ARM * sin - HINGE_DAMPING * turn
    push = push + _limit(x, speed, (_MOMENT * push - coupling * torque) * inverse, _MOMENT * inverse)
    return (_MOMENT * push - coupling * torque) * inverse, (_MASS * torque - coupling * push) * inverse


def _limit(x, speed, acceleration, inverse_mass):
    """The force (N) of the limits of the rail, of which one is active at a time (MuJoCo: "Constraint model")."""
    side = jnp.sign(x)
    beyond = jnp.abs(x) - RAIL
    # Impedance grows from d0 to dmax as a spline of power 2 with its middle at half of the width.
    part = jnp.clip(beyond * (1 / IMPEDANCE_WIDTH), 0, 1)
    spline = jnp.where(part < 0.5, 2 * part**2, 1 - 2 * (1 - part) ** 2)
    impedance = IMPEDANCE_AT_0 + (IMPEDANCE - IMPEDANCE_AT_0) * spline
    wanted = -_RAIL_DAMPING * side * speed - _STIFFNESS * impedance * beyond
    softness = (1 - impedance) * _UPRIGHT_INVERSE / impedance
    force = jnp.minimum(wanted - side * acceleration, 0) / (inverse_mass + softness)
    return jnp.where(beyond > 0, side * force, 0)


def move(physics: Physics, action: jax.Array) -> Physics:
    """The physics after a step of `STEP_SECONDS`; `action` is float32[] in [-1, 1]."""
    force, h = GEAR * action, STEP_SECONDS

    def slope(at: Physics) -> Physics:
        return Physics(at.speed, at.turn, *accelerations(at, force))

    ahead = lambda slopes, by: Physics(*(a + by * b for a, b in zip(physics, slopes)))
    first = slope(physics)
    second = slope(ahead(first, h / 2))
    third = slope(ahead(second, h / 2))
    fourth = slope(ahead(third, h))
    mean = (a + 2 * (b + c) + d for a, b, c, d in zip(first, second, third, fourth))
    return ahead(mean, h / 6)


def reward(physics: Physics, action: jax.Array) -> jax.Array:
    """The reward, float32[] in [0, 1]: high if upright, centered, slow and without force (`Balance.get_reward`)."""
    gaussian = lambda x, margin: jnp.exp(math.log(0.1) * (x * (1 / margin)) ** 2)  # 0.1 at the margin
    upright = (1 + sin_cos(physics.angle)[1]) / 2
    centered = (1 + gaussian(physics.x, 2)) / 2
    slow = (1 + gaussian(physics.turn, 5)) / 2
    small = (4 + jnp.maximum(1 - action**2, 0)) / 5
    return upright * centered * slow * small


def make() -> Env:
    """The environment "jaxes/cartpole_swingup".

    As in dm_control an observation, float32[5], is the position, the cosine and sine of the angle, and both speeds. The
    action, float32[1], is clipped to [-1, 1]. Only the time limit of 1000 steps ends an episode.

    >>> import jax, jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> env.observation.shape, env.action.low.shape, env.max_steps
    ((5,), (1,), 1000)
    """

    def moment(physics, gain) -> EnvState:
        x, angle, speed, turn = physics
        sin, cos = sin_cos(angle)
        seen = jnp.stack([x, cos, sin, speed, turn])
        return EnvState(physics, seen, gain, jnp.bool_(False))

    def reset(key):
        x, angle, speed, turn = 0.01 * jax.random.normal(key, (4,))
        return moment(Physics(x, angle + math.pi, speed, turn), jnp.float32(0))

    def step(state, action):
        force = jnp.clip(action[0], -1, 1)
        physics = move(state.physics, force)
        return moment(physics, reward(physics, force))

    limit = np.ones(1, np.float32)
    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    return Env("jaxes/cartpole_swingup", reset, step, shape, Box(-limit, limit), 1000, STEP_SECONDS, frames=_frames)


def _frames(moments: list[Any], height: int = 360, width: int = 480) -> list[np.ndarray]:
    return drawings.scenes(_draw, moments, None, height, width)


def _draw(axes: Any, physics: Physics, _: Any) -> None:
    x, angle = float(physics.x), float(physics.angle)
    drawings.window(axes, 0, 4.4)
    axes.axhline(0, color="0.7", linewidth=1, zorder=0)
    axes.vlines([-RAIL, RAIL], -0.1, 0.1, color="0.5")
    axes.fill_between([x - 0.2, x + 0.2], -0.1, 0.1, color="tab:blue")
    tip = x + POLE_LENGTH * np.sin(angle), POLE_LENGTH * np.cos(angle)
    axes.plot([x, tip[0]], [0, tip[1]], color="tab:orange", linewidth=5)
