"""simulated_annealing: against its reference, and what it accepts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from population_steps import START, Case, normals, reaches_the_target, step_by_step
from programs import quick
from references.simulated_annealing import Reference

import jaxes
from jaxes.strategies.parts import populations


def annealing_noise(state, ids):
    tiny = jnp.finfo(jnp.float64).tiny
    draw = lambda key: jax.random.uniform(key, (), jnp.float64, tiny)
    return normals(state, ids), jax.vmap(draw)(populations.choice_keys(state, ids))


STRATEGY = jaxes.simulated_annealing(20, 0.2, cooling=0.9)
CASE = Case(functools.partial(Reference, cooling=0.9), STRATEGY, 0.2, annealing_noise, 60, 0.1)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)


def test_accepts_by_the_metropolis_rule():
    """A loss of one temperature is accepted in 1 of e cases, two in 1 of e^2, a gain and a tie always."""
    strategy = jaxes.simulated_annealing(2, 0.1, temperature=2.0)
    state = strategy.init(jax.random.key(0), START.astype(np.float32))._replace(current_fitness=jnp.float32(3))

    @quick
    def accepted(loss):
        one = lambda key: strategy.tell(state._replace(key=key), jnp.stack([jnp.nan, 3 - loss]))[0].current_fitness
        return jnp.mean((jax.vmap(one)(jax.random.split(jax.random.key(1), 4000)) == 3 - loss).astype(jnp.float32))

    for loss, want in ((2.0, np.exp(-1)), (4.0, np.exp(-2))):
        assert abs(accepted(jnp.float32(loss)) - want) < 3 * (want / 4000) ** 0.5
    for loss, want in ((0.0, 1), (-1.0, 1), (np.inf, 0), (np.nan, 0)):
        assert accepted(jnp.float32(loss)) == want
