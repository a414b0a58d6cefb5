"""Steps of strategies that keep a mean and sigma and little else, beside NumPy doing the same with the same noise."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes.noise import gaussian

KEY = jax.random.key(3)
SLOPE = np.array([1.0, 3.0, 0.3, 10.0], np.float64)
START = np.array([1.0, -0.5, 0.2, 0.8], np.float64)
# What open_es moves where its optimizer is tested.
PARAMS = {"body": {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}, "head": jnp.ones(3)}


def objective(x):
    return -(SLOPE * x**2).sum()


def normals(key, step, units):
    """float64[units, n]: the noise of a generation, as NumPy."""
    return np.asarray(gaussian().sample(jax.random.fold_in(key, step), jnp.arange(units), jnp.asarray(START)))


def elite(fitness, k):
    weights = np.zeros(len(fitness))
    weights[np.argsort(-fitness)[:k]] = 1 / k
    return weights


def compare(strategy, update, start, generations, rtol=1e-9):
    """Run both on the same objective in f64; `update(carry, t, members, fitness) -> carry` begins (mean, sigma)."""
    state = strategy.init(KEY, jnp.asarray(START))
    carry = (START, *start)
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    for t in range(generations):
        members = np.asarray(ask(state))
        fitness = np.asarray(jax.vmap(objective)(members))
        carry = update(carry, t, members, fitness)
        state, _ = tell(state, fitness)
        np.testing.assert_allclose(state.mean, carry[0], rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(state.sigma, np.shape(carry[1])), carry[1], rtol=rtol, atol=1e-12)
    return state, carry


def step_by_step(strategy, reference, units, generations):
    """Against a reference, its members included."""

    def update(carry, t, members, fitness):
        np.testing.assert_allclose(members, reference.ask(normals(KEY, t, units)), rtol=1e-9, atol=1e-12)
        reference.tell(-fitness)
        return reference.mean, reference.sigma

    compare(strategy, update, (reference.sigma,), generations)


def told(params=PARAMS, numbers=None, **options):
    """The state of an open_es after one generation."""
    strategy = jaxes.open_es(8, 0.1, **options)
    state = strategy.init(KEY, params, **(numbers or {}))
    fitness = jax.random.normal(jax.random.key(1), (8,))
    return strategy.tell(state, fitness)[0]
