"""simple_es: against its reference, and that sigma has no drift."""

import jax
import jax.numpy as jnp
import numpy as np
from references.simple_es import Reference
from simple_steps import KEY, START, step_by_step

import jaxes


def test_step_by_step(x64):
    n, sigma, elite = 12, 0.3, 0.25
    step_by_step(jaxes.simple_es(n, sigma, elite_fraction=elite), Reference(START, sigma, n, elite), n, 12)


def test_sigma_has_no_drift():
    """A fitness that says nothing leaves the expectation of sigma^2 as it was."""
    strategy = jaxes.simple_es(8, 1.0)

    def once(key):
        state = strategy.init(key, jnp.zeros(3))
        return strategy.tell(state, jax.random.normal(jax.random.fold_in(key, 1), (8,)))[0].sigma ** 2

    squares = np.asarray(jax.jit(jax.vmap(once))(jax.random.split(KEY, 4000)))
    assert abs(squares.mean() - 1) < 3 * squares.std() / np.sqrt(len(squares))
