"""What moves the lander besides gravity: its engines, and wind."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.own.lunar_lander.body import SCALE
from jaxes.envs.own.planar.collision import cross

MAIN_POWER, SIDE_POWER = 13.0, 0.6  # 1/s: impulses are these times the engine's place, times a kg
MAIN_BELOW, SIDE_AWAY = 4 / SCALE, 12 / SCALE  # m: of the hull's origin
# The side engines push at a place that turns with the hull in the one coordinate and not in the other, as in gymnasium.
SIDE_X, SIDE_Y = 17 / SCALE, 14 / SCALE


class Engines(NamedTuple):
    """How strong they fire."""

    main: jax.Array  # float32[]: 0, or 0.5 to 1
    side: jax.Array  # float32[]: likewise, and below 0 for the one at the other side


def chosen(action: jax.Array) -> Engines:
    """What an action, int32[], says: 0 nothing, 1 and 3 the side engines, 2 the main engine; others say nothing."""
    side = jnp.where(jnp.equal(action, 3), 1, jnp.where(jnp.equal(action, 1), -1, 0))
    return Engines(jnp.equal(action, 2).astype(jnp.float32), side.astype(jnp.float32))


def throttled(action: jax.Array) -> Engines:
    """What an action, float32[2], says: no engine fires with less than half of its power."""
    clipped = jnp.clip(action, -1, 1)
    main, side = clipped[0], clipped[1]
    return Engines(jnp.where(main > 0, (main + 1) / 2, 0), jnp.where(jnp.abs(side) > 0.5, side, 0))


def pushed(engines: Engines, scatter: jax.Array, angle: jax.Array, center: jax.Array, im, ii):
    """How engines change the hull's velocity, float32[2] in m/s, and spin, rad/s.

    Args:
        engines: what fires.
        scatter: float32[2] in [-1, 1]: random, for the engines are not steady.
        angle: float32[]: of the hull.
        center: float32[2]: the hull's center of mass from its origin, turned with it, m.
        im: 1/kg, of the hull.
        ii: likewise of its inertia.
    """
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    down, away = jnp.stack([sin, -cos]), jnp.stack([-cos, -sin])
    along, aside = scatter / SCALE
    main = down * (MAIN_BELOW + 2 * along) + away * aside
    side = down * along + away * (3 * aside + jnp.sign(engines.side) * SIDE_AWAY)
    at = side + jnp.stack([-sin * SIDE_X, cos * SIDE_Y])
    by_main, by_side = -MAIN_POWER * engines.main * main, -SIDE_POWER * jnp.abs(engines.side) * side
    turn = cross(main - center, by_main) + cross(at - center, by_side)
    return im * (by_main + by_side), ii * turn


def gust(index: jax.Array, power: float) -> jax.Array:
    """The wind's force, N, or torque, N m, at a moment, int32[]; it never repeats itself."""
    moment = index.astype(jnp.float32)
    return power * jnp.tanh(jnp.sin(0.02 * moment) + jnp.sin(0.01 * math.pi * moment))
