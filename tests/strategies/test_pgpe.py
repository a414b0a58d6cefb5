"""pgpe: against its reference, and against exact gradients of the mean and of sigma."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_steps import (
    BOTH,
    KEY,
    QUADRATIC,
    SCALES,
    SGD,
    START,
    N,
    assert_alike,
    assert_unbiased,
    estimates,
    evaluations,
    gradient,
    identity,
    reference_evaluations,
    step_by_step,
)
from programs import quick
from references.pgpe import Reference

import jaxes


def test_step_by_step(x64):
    def same(state, reference):
        np.testing.assert_allclose(state.sigma, reference.stdev, rtol=1e-6)

    step_by_step(
        jaxes.pgpe(12, 0.3, sigma_learning_rate=0.4),
        Reference(START, 0.3, 12, alpha_sigma=0.4),
        6,
        same=same,
    )


def test_unbiased():
    """sigma^2 times the gradient: exactly so for a quadratic function with a slope."""
    strategy = jaxes.pgpe(8, 0.5, tx=SGD, shaping=identity(), sigma_learning_rate=0.0)
    assert_unbiased(estimates(strategy, BOTH), 0.25 * gradient(BOTH))


def test_gradient_of_sigma():
    """For sum a x^2 the derivative by sigma_i is 2 a_i sigma_i; times sigma_i^2 that is the expected change.

    The baseline takes the part 1/pairs of its own pair away.
    """
    pairs = 8
    strategy = jaxes.pgpe(2 * pairs, 0.5, tx=SGD, shaping=identity(), sigma_change=0.999, sigma_learning_rate=1e-4)
    state = strategy.init(KEY, jnp.zeros(N))

    @quick
    @jax.vmap
    def one(key):
        mine = state._replace(key=key)
        return (strategy.tell(mine, jax.vmap(QUADRATIC)(strategy.ask(mine)))[0].sigma - 0.5) / 1e-4

    exact = -2 * SCALES * 0.1 * 0.5**3 * (1 - 1 / pairs)
    assert_unbiased(np.asarray(one(jax.random.split(KEY, 4000)), np.float64), exact)


@pytest.mark.slow
def test_sphere():
    ours = evaluations(jaxes.pgpe(20, 0.3), 0.01, 300)
    assert_alike(ours, reference_evaluations(lambda: Reference(START, 0.3, 20), 20, 0.01, 300))


def test_bad_input():
    with pytest.raises(ValueError, match="sigma_change must be below 1, got 1"):
        jaxes.pgpe(8, sigma_change=1.0)
    with pytest.raises(ValueError, match="sigma_change must be below 1, got 2"):
        jaxes.pgpe(8).init(KEY, jnp.ones(2), sigma_change=2.0)
