"""From fitness to the weights of members: shapings, and pairs whose members are invalid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from simple_steps import KEY, PARAMS, told

import jaxes
from jaxes import shaping
from jaxes.strategies.parts.weights import pulls


def test_shapings_in_open_es():
    for make in (*shaping.SHAPINGS.values(), lambda: shaping.top(3)):
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(told(shaping=make()).mean))


def test_nes_and_snes_take_shapings():
    for factory in (jaxes.nes, jaxes.snes):
        strategy = factory(8, 0.1, shaping=shaping.centered_rank())
        state, _ = strategy.tell(strategy.init(KEY, PARAMS), jnp.arange(8.0))
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(state.mean))


@pytest.mark.parametrize(
    ("invalid", "expected"),
    [
        ([], [1, -0.4, 0.6]),
        ([5], [1, -0.4, 0.2]),  # its weight: from the valid ones' mean of 0.08 a sixth of the way to -0.4, so 0
        ([1, 2, 3, 4, 5], [5 / 6, -1 / 3, 1 / 2]),  # from 0.5 five sixths of the way
    ],
)
def test_pulls_of_pairs_with_invalid_members(invalid, expected):
    weights = jnp.array([0.5, -0.5, -0.1, 0.3, 0.2, -0.4])
    fitness = np.arange(6.0)
    fitness[invalid] = np.nan
    np.testing.assert_allclose(pulls(weights, jnp.asarray(fitness)), expected, rtol=1e-6)
