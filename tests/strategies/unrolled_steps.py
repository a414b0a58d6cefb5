"""Strategies of problems that unroll piece by piece, on influence balancing: the same steps, and exact gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from gradient_steps import KEY, SGD, assert_unbiased
from programs import quick
from references import unrolled as influence

import jaxes
from jaxes.noise import gaussian


def balancing(population_size, unrolls, **options):
    """Influence balancing, one step in each generation."""

    def unroll(s, theta, key):
        signs = jnp.asarray(influence.SIGNS, s.dtype)
        s = jnp.asarray(influence.A, s.dtype) @ s + signs * theta
        return s, -0.5 * (s[0] - 1) ** 2

    start = lambda key: jnp.zeros(influence.SIZE, jnp.result_type(float))
    return jaxes.unrolled(start, unroll, population_size=population_size, unrolls=unrolls, **options)


def balancing_gradient(theta, unrolls):
    """Of the sum of an episode's fitnesses."""
    difference = 1e-4

    def total(theta):
        s, out = np.zeros(influence.SIZE), 0.0
        for _ in range(unrolls):
            s, loss = influence.inner_step(s, theta)
            out -= loss
        return out

    return (total(theta + difference) - total(theta - difference)) / (2 * difference)


def step_by_step(make, reference, key):
    """With the parameters moving within the episodes; `key(state, episode)` is that of the noise."""
    pairs, unrolls = 4, 5
    strategy = make(2 * pairs, 0.1, unrolls=unrolls, tx=optax.sgd(0.01))
    theirs = reference(0.4, 0.1, pairs, unrolls, 0.01)
    problem = balancing(2 * pairs, unrolls)
    carry = strategy.init(KEY, jnp.asarray(0.4)), problem.init(KEY)
    step = quick(jaxes.generation(strategy, problem))
    for t in range(22):
        state = carry[0]
        noise = gaussian().sample(key(state, t // unrolls), jnp.arange(pairs), state.mean)
        theirs.generation(np.asarray(noise))
        carry, _ = step(carry)
        np.testing.assert_allclose(carry[0].mean, theirs.theta, rtol=1e-6)
    assert abs(theirs.theta - 0.4) > 1e-3


def totals(strategy, problem, unrolls, warm=0, repeats=1500):
    """float[repeats, 1]: gradient estimates summed over an episode with the parameters held where they are."""
    step = jaxes.generation(strategy, problem)

    @quick
    @jax.vmap
    def one(key):
        def held(carry, _):
            (state, inner), _ = step(carry)
            return (state._replace(mean=carry[0].mean), inner), state.mean - carry[0].mean

        carry = strategy.init(key, jnp.float32(0.4)), problem.init(key)
        return jnp.sum(jax.lax.scan(held, carry, length=warm + unrolls)[1][warm:])

    return np.asarray(one(jax.random.split(KEY, repeats)), np.float64)[:, None]


def staggered(make):
    """Estimates of members that stand at different places of their episodes are unbiased."""
    unrolls = 6
    strategy = make(12, 0.1, unrolls=unrolls, stagger=True, tx=SGD)
    problem = balancing(12, unrolls, stagger=True)
    found = totals(strategy, problem, unrolls, warm=unrolls)
    assert_unbiased(found, balancing_gradient(0.4, unrolls))
