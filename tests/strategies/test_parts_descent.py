"""Descent along an estimated gradient (`jaxes.strategies.parts.descent`): what open_es does with optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from simple_steps import KEY, PARAMS, told

import jaxes


def moved(state, params=PARAMS):
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.mean, params)


def test_masked():
    state = told(tx=optax.chain(optax.sgd(1.0), optax.masked(optax.set_to_zero(), {"body": True, "head": False})))
    change = moved(state)
    assert all(np.all(x == 0) for x in jax.tree.leaves(change["body"])) and np.all(change["head"] != 0)


def test_multi_transform():
    both = moved(
        told(
            tx=optax.multi_transform({"slow": optax.sgd(0.1), "fast": optax.sgd(1.0)}, {"body": "slow", "head": "fast"})
        )
    )
    plain = moved(told(tx=optax.sgd(1.0)))
    np.testing.assert_allclose(both["head"], plain["head"], rtol=1e-5)
    np.testing.assert_allclose(both["body"]["w"], 0.1 * plain["body"]["w"], rtol=1e-4, atol=1e-7)


def test_decoupled_weight_decay():
    """mean * (1 - learning_rate * weight_decay) + the update without decay."""
    plain, decayed = told(learning_rate=0.05), told(learning_rate=0.05, weight_decay=0.2)
    for a, b, p in zip(*map(jax.tree.leaves, (plain.mean, decayed.mean, PARAMS)), strict=True):
        np.testing.assert_allclose(b, a - 0.05 * 0.2 * p, rtol=1e-6, atol=1e-7)


def test_l2_weight_decay():
    """With plain sgd the two forms agree; with Adam, l2 goes through the moments."""
    sgd = lambda decay: told(tx=optax.sgd(1.0), learning_rate=0.1, weight_decay=0.2, decay=decay).mean
    for a, b in zip(*map(jax.tree.leaves, (sgd("l2"), sgd("decoupled"))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    plain, decayed = told(tx=optax.sgd(1.0)), told(weight_decay=0.2, decay="l2", learning_rate=0.05)
    for g, a, p in zip(*map(jax.tree.leaves, (moved(plain), decayed.mean, PARAMS)), strict=True):
        gradient = -g + 0.2 * np.asarray(p)  # Adam's first step has length learning_rate, whatever the gradient's
        np.testing.assert_allclose(a, p - 0.05 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-5, atol=1e-6)


def test_inject_hyperparams_sweeps_without_recompiling():
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    strategy = jaxes.open_es(8, 0.1, tx=tx)
    state = strategy.init(KEY, PARAMS)
    tell = jax.jit(strategy.tell)
    fitness = jnp.arange(8.0)
    changes = []
    for rate in (0.1, 0.2):
        state.optimizer.hyperparams["learning_rate"] = jnp.float32(rate)
        changes.append(moved(tell(state, fitness)[0])["head"])
    np.testing.assert_allclose(changes[1], 2 * changes[0], rtol=1e-4)
    assert tell._cache_size() == 1


def test_learning_rate_scales_the_update():
    one, half = moved(told(tx=optax.sgd(1.0))), moved(told(tx=optax.sgd(1.0), numbers={"learning_rate": 0.5}))
    np.testing.assert_allclose(half["head"], 0.5 * one["head"], rtol=1e-4)
