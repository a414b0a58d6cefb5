"""nes: against its reference, and that its step is the natural gradient."""

import jax
import jax.numpy as jnp
import numpy as np
from references.nes import Reference
from simple_steps import KEY, START, step_by_step

import jaxes


def test_step_by_step(x64):
    n, sigma, rate, sigma_rate = 12, 0.3, 0.8, 0.4
    strategy = jaxes.nes(n, sigma, learning_rate=rate, sigma_learning_rate=sigma_rate)
    step_by_step(strategy, Reference(START, sigma, n, rate, sigma_rate), n, 30)


def test_is_the_natural_gradient():
    """F^-1 grad log p, with the Fisher matrix estimated from the log-likelihood's own gradients."""
    n, sigma = 3, 0.7
    log_density = lambda mean, s, x: -jnp.sum((x - mean) ** 2) / (2 * s**2) - n * jnp.log(s)
    gradient = jax.vmap(jax.grad(log_density, (0, 1)), (None, None, 0))
    x = sigma * jax.random.normal(KEY, (200_000, n))
    by_mean, by_sigma = gradient(jnp.zeros(n), jnp.float32(sigma), x)
    scores = np.column_stack([by_mean, by_sigma])
    fisher = scores.T @ scores / len(scores)
    np.testing.assert_allclose(fisher, np.diag([1 / sigma**2] * n + [2 * n / sigma**2]), atol=0.15)
    z = np.asarray(x) / sigma
    natural = np.column_stack([sigma * z, sigma * ((z**2).mean(1) - 1) / 2])
    exact = scores[:100] @ np.linalg.inv(np.diag([1 / sigma**2] * n + [2 * n / sigma**2]))
    np.testing.assert_allclose(natural[:100], exact, rtol=1e-3, atol=1e-4)
