"""The symmetric square root of a covariance; where this is near the identity, by products alone.

Higham, "Functions of Matrices: Theory and Computation", 2008, section 6.3: the coupled Newton-Schulz iteration (6.35).
A few matrix products take less time than an eigendecomposition, on accelerators far less.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxes.strategies.parts import flat

_NEAR = 0.9  # |I - M|_F up to which the iteration is used; it converges below 1


def square_root(matrix: jax.Array, vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    """M^(1/2) and M^(-1/2) v.

    The root is the symmetric one, because it is a smooth function of M, while eigenvectors are arbitrary where
    eigenvalues are close. Eigenvalues below the largest one times the precision of the dtype count as that.

    Args:
        matrix: float[n, n], symmetric.
        vector: float[n].

    >>> import jax.numpy as jnp
    >>> root, moved = square_root(jnp.diag(jnp.array([4.0, 9.0])), jnp.ones(2))
    >>> [round(float(x), 5) for x in (root[0, 0], root[1, 1], moved[0], moved[1])]
    [2.0, 3.0, 0.5, 0.33333]
    """
    return _either(matrix, vector, _distance(matrix))


def _distance(matrix):
    return jnp.sqrt(jnp.sum((matrix - jnp.eye(matrix.shape[0], dtype=matrix.dtype)) ** 2))


@custom_vmap
def _either(matrix, vector, distance):
    return lax.cond(distance < _NEAR, _by_products, _by_axes, matrix, vector, distance)


@_either.def_vmap
def _either_of_many(size, batched, matrix, vector, distance):
    """One way for all, so that `vmap` does not take both for each."""
    full = lambda x, has: x if has else jnp.broadcast_to(x, (size, *x.shape))
    operands = [full(x, has) for x, has in zip((matrix, vector, distance), batched, strict=True)]
    near = jnp.all(operands[2] < _NEAR)
    return lax.cond(near, jax.vmap(_by_products), jax.vmap(_by_axes), *operands), (True, True)


def _by_products(matrix, vector, distance):
    """Y -> M^(1/2) and Z -> M^(-1/2); each step takes the distance e of Z Y from the identity to (3 e^2 + e^3) / 4."""
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    exact = jnp.finfo(matrix.dtype).eps

    def step(carry):
        y, z, distance = carry
        t = 1.5 * identity - 0.5 * flat.times(z, y)
        return flat.times(y, t), flat.times(t, z), 0.75 * distance**2 + 0.25 * distance**3

    t = 1.5 * identity - 0.5 * matrix  # the first step, where Z is the identity
    start = flat.times(matrix, t), t, 0.75 * distance**2 + 0.25 * distance**3
    # Under nested vmaps it is also called where it does not converge, and its result is not used.
    on = lambda carry: (carry[2] > exact) & (carry[2] < 1)
    root, inverse, _ = lax.while_loop(on, step, start)
    return root, flat.times(inverse, vector)


def _by_axes(matrix, vector, distance):
    del distance
    values, axes = jnp.linalg.eigh(matrix)
    info = jnp.finfo(matrix.dtype)
    lengths = jnp.sqrt(jnp.maximum(values, info.eps * jnp.maximum(values[-1], info.tiny)))
    return flat.times(axes * lengths[None], axes.T), flat.times(axes, flat.times(axes.T, vector) * (1 / lengths))
