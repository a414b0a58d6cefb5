"""Bases of subspaces that gradients span, as rows: float[k, n].

The principal axes follow Choromanski, Pacchiano, Parker-Holder, Tang, Sindhwani: "From Complexity to Simplicity:
Adaptive ES-Active Subspaces for Blackbox Optimization", NeurIPS 2019, arXiv:1903.04268, Algorithm 1.
"""

import jax
import jax.numpy as jnp

from jaxes.strategies.parts import flat


def orthonormal(rows: jax.Array) -> jax.Array:
    """float[k, n]: orthonormal rows that span what `rows` (float[k, n], k <= n) span, or more where these depend."""
    return jnp.linalg.qr(rows.T)[0].T


def largest_axes(axes: jax.Array, gradient: jax.Array, kept: jax.Array) -> jax.Array:
    """Principal axes of `kept * axes^T axes + (1 - kept) * gradient gradient^T`, longest first, as many as before."""
    rows = jnp.concatenate([jnp.sqrt(kept) * axes, jnp.sqrt(1 - kept) * gradient[None]])
    largest = jnp.max(jnp.abs(rows))
    unit = rows * (1 / jnp.where(largest > 0, largest, 1))
    squares, turned = jnp.linalg.eigh(flat.times(unit, unit.T))
    # An axis that is nothing but rounding errors is dropped; the others point to the gradient's side.
    sign = jnp.where(turned[-1] < 0, -1, 1)
    signs = jnp.where(squares > jnp.finfo(axes.dtype).eps * rows.shape[0] * squares[-1], sign, 0).astype(axes.dtype)
    return flat.times((turned * signs[None]).T[::-1][: axes.shape[0]], rows)


def active_basis(axes: jax.Array, threshold: jax.Array) -> jax.Array:
    """The fewest axes that hold the part `threshold` of the variance, as unit vectors; zero for the others."""
    largest = jnp.max(jnp.abs(axes))
    unit = axes * (1 / jnp.where(largest > 0, largest, 1))
    squares = jnp.sum(unit**2, axis=1)
    before = jnp.cumsum(squares) - squares
    rounding = jnp.finfo(axes.dtype).eps * squares[0]
    active = (before < threshold * jnp.sum(squares)) & (squares > rounding)
    lengths = jnp.sqrt(jnp.where(active, squares, 1))
    return jnp.where(active[:, None], unit * (1 / lengths)[:, None], 0)
