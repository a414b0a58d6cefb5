"""Maps of the real line into an interval: what lies outside is mirrored at the bounds."""

import jax
import jax.numpy as jnp


def reflected(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """The triangle wave that is the identity within the bounds."""
    both = jnp.isfinite(low) & jnp.isfinite(high)
    width = jnp.where(both, high - low, 1)
    start = jnp.where(both, low, 0)
    turn = jnp.mod(x - start, 2 * width)
    folded = start + jnp.minimum(turn, 2 * width - turn)
    one_sided = jnp.where(x < low, 2 * low - x, 2 * high - x)
    outside = (x < low) | (x > high)
    return jnp.where(outside, jnp.clip(jnp.where(both, folded, one_sided), low, high), x)


def unreflected(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """An inverse of `reflected`: the identity."""
    del low, high
    return x


def smooth(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """Quadratic within a margin on both sides of a bound; what lies farther outside is mirrored.

    The point one margin outside is mapped to the bound itself.
    """
    below, above = _margins(low, high)
    y = reflected(x, low - below, high + above)
    square = lambda distance, margin: distance**2 * (0.25 / jnp.where(margin > 0, margin, 1))
    near_low = jnp.where(below > 0, low, 0) + square(y - jnp.where(below > 0, low - below, 0), below)
    near_high = jnp.where(above > 0, high, 0) - square(jnp.where(above > 0, high + above, 0) - y, above)
    y = jnp.where(y < low + below, near_low, jnp.where(y > high - above, near_high, y))
    return jnp.clip(y, low, high)


def unsmooth(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """An inverse of `smooth`."""
    below, above = _margins(low, high)
    root = lambda distance, margin: 2 * jnp.sqrt(jnp.maximum(margin * distance, 0))
    near_low = jnp.where(below > 0, low - below + root(jnp.where(below > 0, x - low, 0), below), x)
    near_high = jnp.where(above > 0, high + above - root(jnp.where(above > 0, high - x, 0), above), x)
    return jnp.where(x < low + below, near_low, jnp.where(x > high - above, near_high, x))


def rounded(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """The nearest whole number; what lies outside is mirrored so that every whole number within has an equal part.

    `low` and `high` may be any numbers; the whole numbers within are those from `ceil(low)` to `floor(high)`.
    """
    first, last = jnp.ceil(low), jnp.floor(high)
    return jnp.clip(jnp.round(reflected(x, first - 0.5, last + 0.5)), first, last)


def _margins(low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far from each bound the smooth map differs from the identity: at most half of the box's width."""
    half = jnp.where(jnp.isfinite(low) & jnp.isfinite(high), (high - low) * 0.5, jnp.inf)
    margin = lambda bound: jnp.where(jnp.isfinite(bound), jnp.minimum(half, (1 + jnp.abs(bound)) * 0.05), 0)
    return margin(low), margin(high)
