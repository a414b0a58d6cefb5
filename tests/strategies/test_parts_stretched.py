"""Gaussians whose covariance is a diagonal and one direction (`jaxes.strategies.parts.stretched`)."""

import jax.numpy as jnp
import numpy as np
from gaussian_steps import N

from jaxes.strategies.parts import stretched


def test_stretched_covariance():
    """The steps that vd_cma_es and cr_fm_nes draw have the covariance D (I + v v^T) D."""
    v, d = jnp.linspace(-1, 2, N), jnp.linspace(0.5, 3, N)
    root = np.asarray(stretched.stretch(jnp.eye(N), v) * d[None])
    want = np.diag(d) @ (np.eye(N) + np.outer(v, v)) @ np.diag(d)
    np.testing.assert_allclose(root.T @ root, want, rtol=1e-4, atol=1e-4)


def test_in_one_dimension_the_direction_stays():
    """There D and v are one number twice; the natural gradient of the variance is D's alone."""
    v, p = jnp.array([0.7]), jnp.array([0.3])
    dv, relative = stretched.natural(p, jnp.array([0.2]), v)
    assert dv == 0
    np.testing.assert_allclose(relative, 0.15, rtol=1e-6)
