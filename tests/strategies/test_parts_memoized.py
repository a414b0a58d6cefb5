"""Factories give the same object for the same settings, so that `jit` compiles nothing for a second instance."""

import jax
import jax.numpy as jnp
import pytest

import jaxes


@pytest.mark.parametrize("name", jaxes.STRATEGIES)
def test_the_same_settings_give_the_same_strategy(name):
    """So `jit` compiles nothing for a second instance."""
    required = {"unrolls": 2} if name in ("pes", "nres") else {}
    make = lambda size: jaxes.STRATEGIES[name](size, 0.25, **required)
    assert make(24) is make(24)
    assert make(24) is not make(48)


def test_settings_that_cannot_be_hashed_are_no_obstacle():
    strategy = jaxes.snes(8, jnp.float32(0.25))
    assert strategy.init(jax.random.key(0), jnp.zeros(2)).sigma[0] == 0.25
