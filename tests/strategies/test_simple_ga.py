"""simple_ga: against its reference, and when parents stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from population_steps import Case, genetic_noise, reaches_the_target, step_by_step
from programs import quick
from references.simple_ga import Reference

import jaxes

CASE = Case(Reference, jaxes.simple_ga(20, 0.2), 0.2, genetic_noise, 60, 0.1, lambda r: r.sigma)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)


def test_a_parent_stays_where_too_few_children_are_valid():
    strategy = jaxes.simple_ga(10, 0.1, elite_fraction=0.4)
    ask, tell = quick(strategy.ask), quick(strategy.tell)
    state, _ = tell(strategy.init(jax.random.key(0), jnp.zeros(2)), -jnp.arange(10.0))
    np.testing.assert_array_equal(state.fitness, [0, -1, -2, -3])
    members = ask(state)
    np.testing.assert_array_equal(members[0], state.elites[0])
    fitness = jnp.full(10, jnp.nan).at[jnp.array([7, 3])].set(jnp.array([-5.0, -4.0]))
    told, _ = tell(state, fitness)
    np.testing.assert_array_equal(told.fitness, [-4, -5, 0, -1])
    np.testing.assert_allclose(told.elites[:2], members[jnp.array([3, 7])], rtol=1e-6)
    np.testing.assert_array_equal(told.elites[2:], state.elites[:2])
    # The best ever is still the first.
    assert told.best_fitness == 0
    np.testing.assert_array_equal(strategy.recommend(told), jnp.zeros(2))


def test_elite_fraction():
    for fraction in (0, 1.5, "half"):
        with pytest.raises(ValueError, match=r"elite_fraction must be a number in \(0, 1\]"):
            jaxes.simple_ga(8, elite_fraction=fraction)
