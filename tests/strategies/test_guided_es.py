"""guided_es: against its reference and what its estimate should be on average, and what guides do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gradient_steps import (
    BOTH,
    KEY,
    SGD,
    SLOPE,
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
from references.guided_es import Reference

import jaxes
from jaxes.noise import gaussian
from jaxes.support import keys


def guided_noise(state, units):
    like = (state.basis[0], state.basis[:, 0])
    return tuple(np.asarray(x) for x in gaussian().sample(keys.of_generation(state), jnp.arange(units), like))


def test_step_by_step(x64):
    strategy = jaxes.guided_es(12, 0.1, alpha=0.3, tx=optax.sgd(1e-4))
    guides = np.asarray(strategy.init(KEY, jnp.asarray(START)).guides)
    reference = Reference(START, 0.1, 12, alpha=0.3, eta=1e-4, guides=guides)
    step_by_step(strategy, reference, 6, noise=guided_noise)


def test_expectation():
    """beta (alpha / n I + (1 - alpha) / k U U^T) times the gradient, for a quadratic function with a slope."""
    strategy = jaxes.guided_es(8, 0.5, tx=SGD, alpha=0.4, beta=1.5, surrogates="given")
    state = strategy.init(KEY, jnp.asarray(START, jnp.float32))
    for scale in (1.0, -3.0):
        state = jaxes.guide(state, scale * jnp.asarray(SLOPE, jnp.float32) + state.guides[0])
    basis = np.asarray(state.basis, np.float64)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-6)
    covariance = 0.4 / N * np.eye(N) + 0.6 / 2 * basis.T @ basis
    assert_unbiased(estimates(strategy, BOTH, state=state), 1.5 * covariance @ gradient(BOTH))


def test_a_good_guide_helps():
    """On a linear function of many parameters, the exact gradient as a guide makes the estimate far better."""
    n = 200
    strategy = jaxes.guided_es(8, 0.5, tx=SGD, subspace=1, surrogates="given")
    slope = jax.random.normal(KEY, (n,))
    plain = strategy.init(KEY, jnp.zeros(n))

    @quick
    def cosine(state):
        step = strategy.tell(state, strategy.ask(state) @ slope)[0].mean
        return step @ slope / jnp.linalg.norm(step) / jnp.linalg.norm(slope)

    assert abs(cosine(plain)) < 0.3 and cosine(jaxes.guide(plain, slope)) > 0.7


def test_guide():
    strategy = jaxes.guided_es(8, surrogates="given")
    state = strategy.init(KEY, {"a": jnp.zeros(2), "b": jnp.zeros(())})
    with pytest.raises(ValueError, match="gradient must have the parameters' shapes"):
        jaxes.guide(state, {"a": jnp.zeros(3), "b": jnp.zeros(())})
    for useless in (0.0, jnp.nan, jnp.inf):
        same = jaxes.guide(state, jax.tree.map(lambda x, u=useless: jnp.full_like(x, u), state.mean))
        np.testing.assert_array_equal(same.guides, state.guides)
        np.testing.assert_array_equal(same.basis, state.basis)
    after, _ = quick(strategy.tell)(state, jnp.arange(8.0))
    np.testing.assert_array_equal(after.guides, state.guides)


@pytest.mark.slow
def test_sphere():
    strategy = jaxes.guided_es(20, 0.1, tx=optax.sgd(0.5))
    make = lambda: Reference(START, 0.1, 20, eta=0.5)
    assert_alike(evaluations(strategy, 1e-3, 300), reference_evaluations(make, 20, 1e-3, 300))


def test_bad_input():
    with pytest.raises(ValueError, match="subspace must be an int of 1 or more, got 0"):
        jaxes.guided_es(8, subspace=0)
    with pytest.raises(ValueError, match="subspace must be at most the number of parameters 2, got 3"):
        jaxes.guided_es(8, subspace=3).init(KEY, jnp.zeros(2))
    with pytest.raises(ValueError, match="surrogates must be 'past' or 'given', got 'future'"):
        jaxes.guided_es(8, surrogates="future")
    with pytest.raises(ValueError, match=r"alpha must be at most 1, got 1\.5"):
        jaxes.guided_es(8, alpha=1.5).init(KEY, jnp.zeros(2))
