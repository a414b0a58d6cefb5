"""esmc: against its reference and exact gradients, beside cliffs, and where its center is invalid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_steps import (
    KEY,
    LINEAR,
    SGD,
    START,
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
from references.esmc import Reference

import jaxes


def test_step_by_step(x64):
    strategy = jaxes.esmc(12, 0.3, learning_rate=0.05)
    step_by_step(strategy, Reference(START, 0.3, 12, alpha=0.05), 6)


def test_unbiased_where_linear():
    assert_unbiased(estimates(jaxes.esmc(8, 0.5, tx=SGD), LINEAR), gradient(LINEAR))


def test_a_cliff_has_no_say():
    """Members over the edge count as the center, however deep it is."""
    strategy = jaxes.esmc(16, 0.5, tx=SGD)
    state = strategy.init(KEY, jnp.zeros(2))
    cliff = lambda depth: lambda x: jnp.where(x[0] > 0.2, -depth, x[1])
    told = quick(lambda depth: strategy.tell(state, jax.vmap(cliff(depth))(strategy.ask(state)))[0].mean)
    np.testing.assert_array_equal(told(1e3), told(1e6))
    plain = jaxes.open_es(16, 0.5, tx=SGD, shaping=identity())
    first = plain.init(KEY, jnp.zeros(2))
    pushed = quick(lambda: plain.tell(first, jax.vmap(cliff(1e6))(plain.ask(first)))[0].mean)()
    assert float(jnp.max(jnp.abs(pushed))) > 1e3 > 3 > float(jnp.max(jnp.abs(told(1e6))))


def test_invalid_center():
    strategy = jaxes.esmc(8, 0.5, tx=SGD)
    state = strategy.init(KEY, jnp.zeros(2))
    fitness = jnp.arange(8.0)
    tell = quick(strategy.tell)
    one, _ = tell(state, fitness.at[0].set(1).at[1].set(jnp.nan))
    same, _ = tell(state, fitness.at[0].set(1))
    np.testing.assert_allclose(one.mean, same.mean)


@pytest.mark.slow
def test_sphere():
    """Up to a distance of about sigma: nearer the optimum nobody is better than the center."""
    ours = evaluations(jaxes.esmc(20, 0.1, learning_rate=0.05), 0.05, 100, seeds=101)
    make = lambda: Reference(START, 0.1, 20, alpha=0.05)
    assert_alike(ours, reference_evaluations(make, 20, 0.05, 100, seeds=101))


def test_bad_input():
    with pytest.raises(ValueError, match="population_size must be 4 or more for esmc"):
        jaxes.esmc(2)
