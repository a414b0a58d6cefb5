"""How far rays get before they meet the ground."""

import jax
import jax.numpy as jnp

from jaxes.envs.own.planar.ground import Ground

TOLERANCE = 1e-5  # of an edge, by which each one is longer, so that rounding leaves no gap between two


def fractions(ground: Ground, origin: jax.Array, rays: jax.Array) -> jax.Array:
    """The part of each ray that is free, exactly: the least of where it crosses an edge.

    Args:
        ground: the edges that rays may meet.
        origin: float32[2]: where all of them begin, m.
        rays: float32[r, 2]: from the origin to where they end, m.

    Returns:
        float32[r] in [0, 1], 1 where a ray meets nothing.

    >>> import jax.numpy as jnp
    >>> from jaxes.envs.own.planar import ground, terrain
    >>> flat = ground.whole(terrain.Terrain(jnp.array([-9.0, 9.0]), jnp.zeros(2)))
    >>> fractions(flat, jnp.array([0.0, 1.0]), jnp.array([[0.0, -4.0], [3.0, 1.0]])).tolist()
    [0.25, 1.0]
    """
    edge_x, edge_y = (ground.x[1:] - ground.x[:-1])[None], (ground.y[1:] - ground.y[:-1])[None]
    from_x, from_y = (ground.x[:-1] - origin[0])[None], (ground.y[:-1] - origin[1])[None]
    ray_x, ray_y = rays[:, :1], rays[:, 1:]
    # origin + t ray = start + s edge, by crossing both sides with the one and the other.
    across = ray_x * edge_y - ray_y * edge_x  # [r, edges]
    parallel = across == 0
    per = 1 / jnp.where(parallel, 1, across)
    t = (from_x * edge_y - from_y * edge_x) * per
    s = (from_x * ray_y - from_y * ray_x) * per
    meets = ~parallel & (t >= 0) & (s >= -TOLERANCE) & (s <= 1 + TOLERANCE)
    return jnp.minimum(jnp.where(meets, t, 1).min(1), 1)
