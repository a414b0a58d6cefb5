"""Grass that goes a little up and down, and what may interrupt it: what all grounds of the walker have in common.

Facts and constants are those of gymnasium's BipedalWalker-v3 (Oleg Klimov).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SCALE = 30.0  # pixels of gymnasium's picture that a meter has
STEP = 14 / SCALE  # m between two points of the grass
POINTS = 200
PAD = 20  # steps in front, where the walker starts
LEVEL = 400 / SCALE / 4  # m: the height of the pad, to which the grass returns
SHORTEST, LENGTHS = 5, 5  # steps of grass between two obstacles: the least, and how many lengths there are
DEEP = 4  # steps that a pit goes down
WIDE = 4  # steps that a stair has
GRASS, STUMP, STAIRS, PIT = range(4)

X = (STEP * np.arange(POINTS)).astype(np.float32)  # of the points of the grass


def roll(
    y: jax.Array, slope: jax.Array, kick: jax.Array, roughness: float | jax.Array = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Height and slope of the next point of the grass, which is drawn back to its level.

    Args:
        y: float32[]: height of the point before, m.
        slope: float32[]: m a step.
        kick: float32[]: how the slope changes, m a step.
        roughness: how many times as steep as gymnasium's the grass is.

    >>> [round(value.item(), 4) for value in roll(jnp.float32(4), jnp.float32(0.1), jnp.float32(0.03))]
    [4.1, 0.1]
    """
    slope = 0.8 * slope + 0.01 * jnp.sign(LEVEL - y) + kick
    return y + roughness * slope, slope


def kicks(key: jax.Array) -> jax.Array:
    """How the slope changes at each point, float32[200] in m a step: not at all on the pad and right after it.

    >>> kicks(jax.random.key(0))[19:21].tolist()
    [0.0, 0.0]
    """
    chance = jax.random.uniform(key, (POINTS,), jnp.float32, -1 / SCALE, 1 / SCALE)
    return jnp.where(np.arange(POINTS) > PAD, chance, 0)


def along(point: Callable[[Any, Any], tuple[Any, Any]], start: Any, drawn: Any) -> Any:
    """What `jax.lax.scan` makes of all points, as a loop that is never written out.

    Written out, as `jaxes.lanewise` does with a scan, a ground with obstacles takes up to a minute to compile.

    Args:
        point: `(carry, drawn of the point) -> (carry, out)`.
        start: the first carry.
        drawn: leaves [200, ...].

    Returns:
        The outs, leaves [200, ...].

    >>> along(lambda total, x: (total + x, total), jnp.float32(1), jnp.ones(200))[-1].item()
    200.0
    """
    here = lambda i: jax.tree.map(lambda values: values[i], drawn)
    shapes = jax.eval_shape(point, start, here(0))[1]
    outs = jax.tree.map(lambda out: jnp.zeros((POINTS, *out.shape), out.dtype), shapes)

    def turn(i, state):
        carry, out = point(state[0], here(i))
        return carry, jax.tree.map(lambda all_, value: all_.at[i].set(value), state[1], out)

    return jax.lax.fori_loop(0, POINTS, turn, (start, outs))[1]
