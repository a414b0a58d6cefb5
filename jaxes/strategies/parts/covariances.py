"""Arithmetic with a covariance of n numbers, whether it is a full matrix or a diagonal alone."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxes.strategies.parts import flat


class Covariance(NamedTuple):
    """What a search needs of one kind of covariance C; C and its root L are float[n, n], or float[n] if diagonal."""

    identity: Callable[..., jax.Array]
    """`identity(n, dtype) -> C`"""
    product: Callable[[jax.Array, jax.Array], jax.Array]
    """`product(a, b)`: the outer product of two vectors, float[n] each, as far as C has places for it"""
    second: Callable[[jax.Array, jax.Array], jax.Array]
    """`second(weights, rows)`: the weighted sum of `product(row, row)`, of float[k] and float[k, n]"""
    variances: Callable[[jax.Array], jax.Array]
    """`variances(C) -> float[n]`"""
    valid: Callable[[jax.Array], jax.Array]
    """`valid(C)`: without the variances below zero that rounding leaves, where they would do harm"""
    root: Callable[[jax.Array], jax.Array]
    """`root(C) -> L` with `L L^T = C`"""
    times: Callable[[jax.Array, jax.Array], jax.Array]
    """`times(L, rows)`: `L z` for each row z of float[k, n]"""
    solve: Callable[[jax.Array, jax.Array], jax.Array]
    """`solve(L, y)`: the z with `L z = y`, float[n]"""


def cholesky(covariance: jax.Array) -> jax.Array:
    """The lower factor; the standard deviations alone where rounding has made the covariance indefinite."""
    lower = jnp.linalg.cholesky(covariance)
    deviation = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), jnp.finfo(covariance.dtype).tiny))
    return jnp.where(jnp.all(jnp.isfinite(lower)), lower, jnp.diag(deviation))


FULL = Covariance(
    identity=lambda n, dtype: jnp.eye(n, dtype=dtype),
    product=lambda a, b: a[:, None] * b[None, :],
    second=lambda weights, rows: flat.times((weights[:, None] * rows).T, rows),
    variances=jnp.diagonal,
    valid=lambda covariance: covariance,
    root=cholesky,
    times=lambda lower, rows: flat.by_chunks(lambda z: flat.times(z, lower.T), rows),
    solve=lambda lower, y: jax.scipy.linalg.solve_triangular(lower, y, lower=True),
)

DIAGONAL = Covariance(
    identity=lambda n, dtype: jnp.ones(n, dtype),
    product=lambda a, b: a * b,
    second=lambda weights, rows: flat.times(weights, rows**2),
    variances=lambda covariance: covariance,
    valid=lambda covariance: jnp.maximum(covariance, 0),
    root=jnp.sqrt,
    times=lambda root, rows: rows * root[None],
    solve=lambda root, y: y * (1 / jnp.maximum(root, jnp.finfo(y.dtype).tiny)),
)
