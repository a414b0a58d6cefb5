"""hill_climbing: against its reference."""

import functools

import jax.numpy as jnp
from population_steps import Case, normals, reaches_the_target, step_by_step
from references.hill_climbing import Reference

import jaxes

STRATEGY = jaxes.hill_climbing(20, lambda t: 0.95 ** jnp.float64(t))
CASE = Case(functools.partial(Reference, decay=0.95), STRATEGY, 1.0, normals, 100, 1e-2, lambda r: r.sigma)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)
