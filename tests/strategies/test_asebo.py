"""asebo: against its reference and what its estimate should be on average, and the subspace that it finds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gradient_steps import (
    BOTH,
    KEY,
    SGD,
    START,
    N,
    assert_alike,
    assert_unbiased,
    estimates,
    evaluations,
    gradient,
    reference_evaluations,
    step_by_step,
)
from programs import quick
from references.asebo import Reference

import jaxes
from jaxes.noise import gaussian
from jaxes.strategies.asebo import largest_axes
from jaxes.support import keys


def asebo_noise(state, units):
    z, coin = gaussian().sample(keys.of_generation(state), jnp.arange(units), (state.basis[0], state.logit))
    return np.asarray(z), np.asarray(jax.scipy.special.ndtr(coin))


def test_step_by_step(x64):
    """Against the full covariance: as many axes are kept as there are parameters."""
    ranks = set()

    def same(state, reference):
        np.testing.assert_allclose(state.axes.T @ state.axes, reference.Cov, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(jax.nn.sigmoid(state.logit), reference.q, rtol=1e-6)
        ranks.add(reference.r)

    numbers = {"warmup": 5.0, "threshold": 0.8, "covariance_decay": 0.8, "probability_rate": 0.01}
    strategy = jaxes.asebo(12, 0.1, tx=optax.sgd(1e-3), **numbers)
    reference = Reference(START, 0.1, 12, eps=0.8, eta=1e-3)
    step_by_step(strategy, reference, 6, noise=asebo_noise, same=same)
    assert len(ranks) > 2, ranks


def test_expectation():
    """The active part of the gradient is scaled by p n / r, the rest by (1 - p) n / (n - r)."""
    strategy = jaxes.asebo(8, 0.5, tx=SGD, warmup=0.0, threshold=0.7, probability_floor=0.3)
    tell = quick(strategy.tell)
    state = strategy.init(KEY, jnp.asarray(START, jnp.float32))
    for seed in range(4):
        state, _ = tell(state, jax.random.normal(jax.random.key(seed), (8,)))
    state = state._replace(mean=jnp.asarray(START, jnp.float32), logit=jnp.float32(1.0))
    basis = np.asarray(state.basis, np.float64)
    active, p = basis.T @ basis, 0.4 / (1 + np.exp(-1)) + 0.3
    r = round(np.trace(active))
    assert 0 < r < N
    scale = p * N / r * active + (1 - p) * N / (N - r) * (np.eye(N) - active)
    assert_unbiased(estimates(strategy, BOTH, state=state), scale @ gradient(BOTH))


def test_an_axis_across_the_gradient_is_kept():
    axes = jnp.diag(jnp.array([3.0, 2.0, 1.0]))
    kept = largest_axes(axes, jnp.array([0.0, 0.0, 1.0]), jnp.float32(0.5))
    np.testing.assert_allclose(kept.T @ kept, jnp.diag(jnp.array([4.5, 2.0, 1.0])), atol=1e-5)


def test_finds_the_subspace():
    """Of a function of two directions among thirty: they become the active ones, and p rises."""
    strategy = jaxes.asebo(16, 0.1, tx=optax.sgd(1e-3), probability_rate=0.001)
    plane = np.linalg.qr(np.random.default_rng(3).standard_normal((30, 2)))[0].T
    function = lambda x: -jnp.sum((jnp.asarray(plane, x.dtype) @ x - jnp.array([1.0, 2.0])) ** 2)
    state, _ = jaxes.run(strategy, function, strategy.init(KEY, jnp.zeros(30)), generations=40)
    slope = plane.T @ np.array([1.0, 2.0]) / np.sqrt(5)
    assert np.linalg.norm(np.asarray(state.basis) @ slope) > 0.9
    assert float(state.logit) > 0


@pytest.mark.slow
def test_sphere():
    strategy = jaxes.asebo(20, 0.1, warmup=5.0, threshold=0.9, covariance_decay=0.8, tx=optax.sgd(0.1))
    make = lambda: Reference(START, 0.1, 20, eta=0.1)
    assert_alike(evaluations(strategy, 1e-2, 300), reference_evaluations(make, 20, 1e-2, 300), 1.4)


def test_bad_input():
    with pytest.raises(ValueError, match="subspace must be an int of 1 or more, got 0"):
        jaxes.asebo(8, subspace=0)
    with pytest.raises(ValueError, match="subspace must be at most the number of parameters 2, got 3"):
        jaxes.asebo(8, subspace=3).init(KEY, jnp.zeros(2))
    with pytest.raises(ValueError, match=r"probability_floor must be below 0\.5, got 0\.5"):
        jaxes.asebo(8, probability_floor=0.5)
    with pytest.raises(ValueError, match="covariance_decay must be below 1, got 1"):
        jaxes.asebo(8).init(KEY, jnp.zeros(2), covariance_decay=1.0)
