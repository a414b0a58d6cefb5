"""The ground of the moon: corners two meters apart, level in the middle."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.own import planar

WIDTH, HEIGHT = 20.0, 400 / 30  # m: of what is seen
CORNERS = 11
X = np.linspace(0, WIDTH, CORNERS).astype(np.float32)
PAD = HEIGHT / 4  # m: how high the landing pad is


def heights(rough: jax.Array) -> jax.Array:
    """The heights of the corners, float32[11] in m, from random ones, float32[12], of which the last one is shared.

    Each is the mean of three neighbors, but for a factor of 0.99.
    """
    middle = CORNERS // 2
    rough = rough.at[middle - 2 : middle + 3].set(PAD)
    return 0.33 * (jnp.roll(rough, 1) + rough + jnp.roll(rough, -1))[:CORNERS]


def draw(key: jax.Array) -> jax.Array:
    """Heights of another moon, float32[11]: they are random but for the level middle."""
    return heights(jax.random.uniform(key, (CORNERS + 1,), jnp.float32, maxval=HEIGHT / 2))


def ground(heights: jax.Array) -> planar.Ground:
    """The moon as planar ground."""
    return planar.whole(planar.Terrain(X, heights))
