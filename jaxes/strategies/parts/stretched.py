"""The Gaussian N(0, D (I + v v^T) D) that vd_cma_es and cr_fm_nes search with: a diagonal and one direction.

Akimoto, Auger, Hansen: "Comparison-Based Natural Gradient Optimization in High Dimension", GECCO 2014: the natural
gradient of its Theorem 3.1 and its modification in section 4.1, in time and memory linear in n.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxes.strategies.parts import flat
from jaxes.support import keys
from jaxes.support.keys import Stream


def begin(key: jax.Array, n: int, dtype: jax.typing.DTypeLike) -> dict[str, jax.Array]:
    """The first `d` and `v`, and the evolution paths `path_sigma` and `path_c`, each float[n].

    The first v are normal numbers of variance 1 / n, from a key that no generation draws from.
    """
    first = keys.stream(key, Stream.DIRECTION)
    v = flat.draw(first, jnp.zeros(1, jnp.int32), n, dtype)[0] * n**-0.5
    zero = jnp.zeros(n, dtype)
    return {"d": jnp.ones(n, dtype), "v": v, "path_sigma": zero, "path_c": zero}


def members(state: Any, ids: Any, population_size: int, antithetic: bool = False) -> Any:
    """`ask` for a state with `mean`, `sigma`, `d` and `v`: members `mean + sigma * d * y`, y the stretched z."""
    row = lambda z: stretch(z, state.v) * state.d[None]
    steps = lambda which: flat.by_chunks(row, flat.normals(state, which, state.d.shape[0]))
    return flat.members(state, ids, population_size, steps, antithetic)


def stretch(z: jax.Array, v: jax.Array) -> jax.Array:
    """Rows z as rows y = z + (sqrt(1 + |v|^2) - 1) <z, u> u, of covariance I + v v^T, with u = v / |v|."""
    u, square = direction(v)
    return z + ((jnp.sqrt(1 + square) - 1) * flat.times(z, u))[:, None] * u[None]


def direction(v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """u = v / |v|, and |v|^2."""
    square = jnp.maximum(jnp.sum(v**2), jnp.finfo(v.dtype).tiny * 1e6)
    return v * (1 / jnp.sqrt(square)), square


def score(weights: jax.Array, y: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weighted sums of what the gradient of the log-density needs of each sample.

    Args:
        weights: float[k].
        y: float[k, n], samples divided by D.
        v: float[n].

    Returns:
        Two float[n]: `p = sum w (y^2 - |v|^2 / (1 + |v|^2) <y, u> y u - 1)` for log(D) and
        `q = sum w (<y, u> y - (<y, u>^2 + 1 + |v|^2) / 2 u)` for v.
    """
    u, square = direction(v)
    along = flat.times(y, u)
    mixed = flat.times(weights * along, y)
    p = flat.times(weights, y**2) - square / (1 + square) * mixed * u - jnp.sum(weights)
    q = mixed - 0.5 * (jnp.sum(weights * along**2) + (1 + square) * jnp.sum(weights)) * u
    return p, q


def natural(p: jax.Array, q: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The natural gradient from `score`: steps of v, and of D relative to D.

    In one dimension D and v are the same thing twice, and v stays, else both would grow without end.
    """
    if v.size == 1:
        return jnp.zeros_like(v), 0.5 * p
    u, square = direction(v)
    uu, gamma = u**2, 1 + square
    # alpha < 1 where the Fisher matrix would be nearly singular, because one entry of v is large.
    room = (2 * gamma - jnp.sqrt(gamma)) / jnp.max(uu)
    alpha = jnp.minimum(1, jnp.sqrt(square**2 + room) / (2 + square))
    b = 2 * alpha**2 - (1 - alpha**2) * square**2 / gamma
    inverse = 1 / (2 - (b + 2 * alpha**2) * uu)
    r = p - alpha / gamma * ((2 + square) * (q * u) - square * jnp.sum(u * q) * uu)
    scaled = inverse * uu
    s = r * inverse - b * jnp.sum(r * scaled) / (1 + b * jnp.sum(uu * scaled)) * scaled
    dv = (q - alpha * ((2 + square) * (u * s) - jnp.sum(s * uu) * u)) * (1 / jnp.sqrt(square))
    return dv, s
