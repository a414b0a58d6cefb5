"""particle_swarm: against its reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from population_steps import DIMENSION, Case, first_normals, reaches_the_target, step_by_step
from references.particle_swarm import Reference

import jaxes
from jaxes.strategies.parts import populations


def swarm_noise(state, ids):
    draw = lambda key: jax.random.uniform(jax.random.split(key, 1)[0], (2, DIMENSION), jnp.float64)
    u = jax.vmap(draw)(populations.choice_keys(state, ids))
    return first_normals(state, ids), u[:, 0], u[:, 1]


def spread(swarm):
    return np.sqrt(((swarm.x - swarm.x.mean(0)) ** 2).mean())


CASE = Case(Reference, jaxes.particle_swarm(20, 1.0), 1.0, swarm_noise, 60, 1e-3, spread)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)


def test_unknown_number():
    with pytest.raises(TypeError, match="unknown number 'momentum'; it takes sigma"):
        jaxes.particle_swarm(8).init(jax.random.key(0), jnp.zeros(2), momentum=0.9)
