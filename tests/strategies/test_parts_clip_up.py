"""clip_up against its paper's algorithm, its dtypes and numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import quick

import jaxes


def test_is_the_papers():
    """Algorithm 1 in NumPy, with a gradient that changes, over a tree."""
    tx = jaxes.clip_up(0.3, step_size=0.2, momentum=0.8)
    rng, velocity = np.random.default_rng(0), np.zeros(5)
    params = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    state, clipped, step = tx.init(params), 0, quick(tx.update)
    for t in range(12):
        g = rng.standard_normal(5) * 10.0**t * 1e-6 + 1e-6
        velocity = 0.8 * velocity - 0.2 * g / np.linalg.norm(g)
        if np.linalg.norm(velocity) > 0.3:
            velocity, clipped = 0.3 * velocity / np.linalg.norm(velocity), clipped + 1
        update, state = step({"a": jnp.float32(g[:2]), "b": jnp.float32(g[2:])}, state)
        np.testing.assert_allclose(np.concatenate([update["a"], update["b"]]), velocity, rtol=1e-5)
    assert 0 < clipped < 12


def test_keeps_dtypes_and_survives_extremes():
    params = {"a": jnp.zeros(2, jnp.bfloat16), "b": jnp.zeros((), jnp.float32)}
    tx = jaxes.clip_up(0.5)
    state = tx.init(params)
    for size in (0.0, 1e-30, 1e30):
        update, state = tx.update(jax.tree.map(lambda x, s=size: jnp.full_like(x, s), params), state)
        assert jax.tree.map(jnp.result_type, update) == jax.tree.map(jnp.result_type, params)
        length = float(jnp.sqrt(jnp.sum(update["a"].astype(jnp.float32) ** 2) + update["b"] ** 2))
        assert length == 0 if size == 0 else 0.2 < length < 0.51


def test_inject_hyperparams():
    tx = optax.inject_hyperparams(jaxes.clip_up)(max_speed=0.5)
    state = tx.init(jnp.zeros(2))
    state.hyperparams["max_speed"] = jnp.float32(0.1)
    update, _ = quick(tx.update)(jnp.ones(2), state)
    np.testing.assert_allclose(jnp.linalg.norm(update), 0.05, rtol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="max_speed must be above 0, got 0"):
        jaxes.clip_up(0.0)
    with pytest.raises(ValueError, match="step_size must be above 0, got -1"):
        jaxes.clip_up(1.0, step_size=-1.0)
    with pytest.raises(ValueError, match="momentum must be below 1, got 1"):
        jaxes.clip_up(1.0, momentum=1.0)
