"""`es_value_and_grad` where `jax.value_and_grad` would stand: the same gradient in the limit, any loop of optax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxes

KEY = jax.random.key(0)


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(x)))


@pytest.fixture(scope="module")
def task():
    """(loss of parameters, parameters): a small regression."""
    x = jnp.linspace(-2, 2, 16)[:, None]
    module = Model()
    return lambda params: jnp.mean((module.apply(params, x) - jnp.sin(2 * x)) ** 2), module.init(KEY, x)


def test_the_smoothed_gradient_converges_to_the_true_one(task):
    """For many fixed directions the estimate is the true gradient's part along them, and an error of order sigma^2."""
    loss, params = task
    size, pairs = 13, 1024
    _, true = jax.jit(jax.value_and_grad(loss))(params)
    z = jaxes.noise.gaussian().sample(KEY, jnp.arange(pairs), params)
    flat = jax.vmap(lambda tree: jaxes.flatten_params(tree)[0])(z)
    wanted = flat.T @ (flat @ jaxes.flatten_params(true)[0]) / pairs  # what these directions show of it
    errors = []
    estimate = jax.jit(lambda sigma: jaxes.es_value_and_grad(loss, sigma=sigma, population_size=2 * pairs)(params, KEY))
    for sigma in (0.2, 0.1, 0.05):
        value, slope = estimate(sigma)
        found = jaxes.flatten_params(slope)[0]
        assert found.shape == (size,)
        errors.append(float(jnp.linalg.norm(found - wanted)))
    assert abs(value - loss(params)) < 0.1
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 1.6) & (orders < 2.4)), orders
    exact = jaxes.flatten_params(true)[0]
    assert jnp.linalg.norm(found - exact) < 0.3 * jnp.linalg.norm(exact)  # the directions are but so many


TRANSFORMATIONS = {
    "adam with a schedule": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 60)),
    "sgd with momentum, clipped": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.8)),
    "lion": lambda: optax.lion(0.02),
    "adamw, accumulated": lambda: optax.MultiSteps(optax.adamw(0.2), every_k_schedule=4),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_any_transformation_of_optax(name, task):
    loss, params = task
    tx = TRANSFORMATIONS[name]()
    estimate = jaxes.es_value_and_grad(loss, sigma=0.05, population_size=32)

    @jax.jit
    def descend(params):
        def step(carry, key):
            params, state = carry
            value, slope = estimate(params, key)
            with jax.numpy_dtype_promotion("standard"):  # optax's own
                change, state = tx.update(slope, state, params)
            return (optax.apply_updates(params, change), state), value

        return jax.lax.scan(step, (params, tx.init(params)), jax.random.split(KEY, 60))

    (after, _), values = descend(params)
    assert values.shape == (60,) and loss(after) < 0.5 * loss(params)


def test_accumulation_averages_the_gradients(task):
    """Four small populations, and one step on the mean of their gradients."""
    loss, params = task
    estimate = jax.jit(jaxes.es_value_and_grad(loss, sigma=0.05, population_size=16))
    tx = optax.MultiSteps(optax.sgd(0.1), every_k_schedule=4)
    state, now, slopes = tx.init(params), params, []
    for key in jax.random.split(KEY, 4):
        slopes.append(estimate(now, key)[1])
        with jax.numpy_dtype_promotion("standard"):
            change, state = tx.update(slopes[-1], state, now)
        now = optax.apply_updates(now, change)
    wanted = jax.tree.map(lambda p, *g: p - 0.1 * sum(g) / 4, params, *slopes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), now, wanted)
