"""Action heads against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock

from jaxes.envs import Box, Discrete
from jaxes.rl import heads

LOW, HIGH = np.array([-1.0, -3.0, 0.0], np.float32), np.array([1.0, 3.0, 0.5], np.float32)
BOX = clock()._replace(action=Box(LOW, HIGH))
GRID = clock()._replace(action=Box(LOW.reshape(3, 1), HIGH.reshape(3, 1)))
CHOICES = clock()._replace(action=Discrete(4))
OUTPUTS = [np.float32([0.3, -0.8, 2.0]), np.float32([50, -50, 0]), np.float32([-1.5, 2.9, -0.1])]


@pytest.mark.parametrize("y", OUTPUTS)
def test_tanh(y):
    head = heads.head(BOX, "tanh")
    got = head.act(jnp.array(y))
    np.testing.assert_allclose(got, LOW + (HIGH - LOW) * (np.tanh(y) + 1) / 2, rtol=1e-6, atol=1e-6)
    assert head.outputs == 3 and (got >= LOW).all() and (got <= HIGH).all() and got.dtype == jnp.float32


@pytest.mark.parametrize("y", OUTPUTS)
def test_clip(y):
    head = heads.head(BOX, "clip")
    np.testing.assert_array_equal(head.act(jnp.array(y)), np.clip(y, LOW, HIGH))
    assert head.outputs == 3


def test_bins_are_evenly_spaced():
    """As in OpenAI's code: "uniform:10" is `1 / (bins - 1) * (high - low) * index + low`."""
    head = heads.head(BOX, "bins:10")
    assert head.outputs == 30
    for index in range(10):
        scores = np.zeros((3, 10), np.float32)
        scores[:, index] = 1
        want = 1 / 9 * (HIGH - LOW) * index + LOW
        np.testing.assert_allclose(head.act(jnp.array(scores.ravel())), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_bins_against_numpy(count):
    scores = np.random.default_rng(0).normal(size=(3, count)).astype(np.float32)
    got = heads.bins(BOX, count).act(jnp.array(scores.ravel()))
    want = [np.linspace(low, high, count)[np.argmax(row)] for low, high, row in zip(LOW, HIGH, scores)]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_categorical():
    head = heads.head(CHOICES, "categorical")
    got = head.act(jnp.array([0.1, -1, 3, 2.9]))
    assert head.outputs == 4 and got == 2 and got.dtype == jnp.int32


@pytest.mark.parametrize("name", ["tanh", "clip", "bins:3"])
def test_actions_have_the_shape_of_the_space(name):
    head = heads.head(GRID, name)
    assert head.act(jnp.ones(head.outputs)).shape == (3, 1)


@pytest.mark.parametrize("name", ["tanh", "clip", "bins:3"])
def test_low_precision_stays(name):
    head = heads.head(BOX, name)
    assert jax.eval_shape(head.act, jax.ShapeDtypeStruct((head.outputs,), jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", ["tanh", "clip", "bins:10"])
def test_vector_heads_need_vectors(name):
    with pytest.raises(ValueError, match=r"needs vector actions; tests/clock has 4 choices: use 'categorical'"):
        heads.head(CHOICES, name)


def test_categorical_needs_choices():
    with pytest.raises(ValueError, match=r"'categorical' needs discrete actions; tests/clock has vectors"):
        heads.head(BOX, "categorical")


@pytest.mark.parametrize("name", ["tanh", "bins:10"])
def test_stretching_needs_finite_limits(name):
    env = clock()._replace(action=Box(np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32)))
    with pytest.raises(ValueError, match="needs actions with finite limits"):
        heads.head(env, name)
    np.testing.assert_array_equal(heads.head(env, "clip").act(jnp.array([1e6, -1e6])), [1e6, -1e6])


@pytest.mark.parametrize(
    "name", ["", "tan", "bins", "bins:", "bins:x", "bins:-2", "bins:2.5", "tanh:3", "Tanh", "bins:²"]
)
def test_odd_names(name):
    with pytest.raises(ValueError, match=r"head must be 'tanh', 'clip', 'bins:COUNT'.*got"):
        heads.head(BOX, name)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_bins(count):
    with pytest.raises(ValueError, match=f"bins must be an int of 2 or more, got {count}"):
        heads.head(BOX, f"bins:{count}")
