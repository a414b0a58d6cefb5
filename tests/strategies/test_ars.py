"""ars: against its reference, the fitness's scale, and directions that are lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_steps import KEY, START, N, assert_alike, evaluations, reference_evaluations, step_by_step
from programs import quick
from references.ars import Reference

import jaxes


@pytest.mark.parametrize("top", [None, 3])
def test_step_by_step(top, x64):
    strategy = jaxes.ars(12, 0.1, top=top, learning_rate=0.05)
    step_by_step(strategy, Reference(START, 0.1, 12, alpha=0.05, b=top), 6)


def test_does_not_see_the_scale():
    strategy = jaxes.ars(8)
    state = strategy.init(KEY, jnp.zeros(N))
    fitness = jax.random.normal(KEY, (8,))
    tell = quick(strategy.tell)
    change = lambda scale: tell(state, fitness * scale)[0].mean
    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(change(scale), change(1.0), rtol=1e-5, atol=1e-8)


def test_a_lost_direction_is_not_used():
    """Without its third pair a generation of four is one of three."""
    small, large = jaxes.ars(6), jaxes.ars(8)
    fitness = jax.random.normal(KEY, (6,))
    state = large.init(KEY, jnp.zeros(N))
    lost, _ = quick(large.tell)(state, jnp.concatenate([fitness, jnp.full(2, jnp.nan)]))
    kept, _ = quick(small.tell)(small.init(KEY, jnp.zeros(N)), fitness)
    np.testing.assert_allclose(lost.mean, kept.mean, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_sphere():
    ours = evaluations(jaxes.ars(20, 0.1, top=5, learning_rate=0.05), 0.05, 300)
    make = lambda: Reference(START, 0.1, 20, alpha=0.05, b=5)
    assert_alike(ours, reference_evaluations(make, 20, 0.05, 300))


@pytest.mark.parametrize("top", [0, 5, 2.0, True])
def test_bad_input(top):
    with pytest.raises(ValueError, match="top must be an int from 1 to the number of directions 4"):
        jaxes.ars(8, top=top)
