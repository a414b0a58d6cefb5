"""gesmr_ga: against its reference."""

import functools

import jax.numpy as jnp
import pytest
from population_steps import Case, genetic_noise, reaches_the_target, step_by_step
from references.gesmr_ga import Reference

import jaxes
from jaxes.strategies.parts import genetic


def gesmr_noise(state, ids):
    return *genetic_noise(state, ids)[:3], tuple(genetic.choices(state, ids.size + jnp.arange(5), 2))


STRATEGY = jaxes.gesmr_ga(20, 0.3, groups=5)
CASE = Case(functools.partial(Reference, K=5), STRATEGY, 0.3, gesmr_noise, 100, 1e-3, lambda r: r.MR)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)


def test_elite_fraction():
    for fraction in (0, 1.5, "half"):
        with pytest.raises(ValueError, match=r"elite_fraction must be a number in \(0, 1\]"):
            jaxes.gesmr_ga(8, elite_fraction=fraction)


def test_groups():
    for groups in (3, 8, 0, "two"):
        with pytest.raises(ValueError, match=r"groups must be one of \[1, 2, 4\] for a population_size of 8"):
            jaxes.gesmr_ga(8, groups=groups)
