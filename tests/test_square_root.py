"""square_root against SciPy's, near the identity and far from it, one matrix and many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxes.strategies.parts.square_root import square_root

N = 12


def matrix(seed: int, spread: float) -> np.ndarray:
    """A random covariance whose eigenvalues are between exp(-spread) and exp(spread)."""
    random = np.random.RandomState(seed)
    axes = np.linalg.qr(random.randn(N, N))[0]
    return axes * np.exp(spread * random.uniform(-1, 1, N)) @ axes.T


def wanted(m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    root = np.real(scipy.linalg.sqrtm(m))
    return root, np.linalg.solve(root, v)


def bound(spread: float, dtype: type) -> float:
    """Of the error, relative to the largest number: rounding grows with the root's condition."""
    return 60 * np.finfo(dtype).eps * np.exp(spread)


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.2, 5.0])  # |I - M| is 0, 0.04, 0.4, and beyond the iteration's reach
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one(spread, dtype):
    m, v = matrix(0, spread), np.random.RandomState(1).randn(N)
    with jax.enable_x64(dtype is np.float64):
        root, moved = jax.jit(square_root)(jnp.asarray(m, dtype), jnp.asarray(v, dtype))
    assert root.dtype == moved.dtype == dtype
    for got, expected in zip((root, moved), wanted(m, v), strict=True):
        np.testing.assert_allclose(got, expected, atol=bound(spread, dtype) * np.abs(expected).max())


@pytest.mark.parametrize("spreads", [(0.02, 0.2, 0.1), (0.02, 5.0, 0.1)])
def test_many(spreads):
    many = np.stack([matrix(i, spread) for i, spread in enumerate(spreads)])
    v = np.random.RandomState(1).randn(N)
    roots, moved = jax.jit(jax.vmap(square_root, (0, None)))(jnp.asarray(many), jnp.asarray(v))
    for i, m in enumerate(many):
        root, direction = wanted(m, v)
        for got, expected in ((roots[i], root), (moved[i], direction)):
            np.testing.assert_allclose(got, expected, atol=bound(spreads[i], np.float32) * np.abs(expected).max())


def test_no_eigenvalue_below_the_precision_of_the_largest():
    root, moved = square_root(jnp.diag(jnp.array([1.0, -0.5, 4.0])), jnp.ones(3))
    np.testing.assert_allclose(root[1, 1] ** 2, 4 * np.finfo(np.float32).eps, rtol=1e-3)
    assert np.isfinite(moved).all()


def test_many_of_many_come_to_an_end():
    """A vmap of a vmap takes both ways for each matrix; the products do not converge for those that are far."""
    many = np.stack([[matrix(2 * i + j, spread) for j, spread in enumerate((0.1, 5.0))] for i in range(2)])
    v = np.random.RandomState(1).randn(N)
    roots, _ = jax.jit(jax.vmap(jax.vmap(square_root, (0, None)), (0, None)))(jnp.asarray(many), jnp.asarray(v))
    for i in range(2):
        for j, spread in enumerate((0.1, 5.0)):
            root = wanted(many[i, j], v)[0]
            np.testing.assert_allclose(roots[i, j], root, atol=bound(spread, np.float32) * np.abs(root).max())
