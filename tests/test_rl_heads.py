"""Action heads against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock

from jaxes.envs import Box, Discrete
from jaxes.rl.policies import heads

LOW, HIGH = np.array([-1.0, -3.0, 0.0], np.float32), np.array([1.0, 3.0, 0.5], np.float32)
BOX = clock()._replace(action=Box(LOW, HIGH))
GRID = clock()._replace(action=Box(LOW.reshape(3, 1), HIGH.reshape(3, 1)))
CHOICES = clock()._replace(action=Discrete(4))
KEY = jax.random.key(0)
VECTORS = ["tanh", "clip", "bins:3", "bins:0,0.25", "gaussian"]
OUTPUTS = [np.float32([0.3, -0.8, 2.0]), np.float32([50, -50, 0]), np.float32([-1.5, 2.9, -0.1])]


@pytest.mark.parametrize("y", OUTPUTS)
def test_tanh(y):
    head = heads.head(BOX, "tanh")
    got = head.act(jnp.array(y), None)
    np.testing.assert_allclose(got, LOW + (HIGH - LOW) * (np.tanh(y) + 1) / 2, rtol=1e-6, atol=1e-6)
    assert head.outputs == 3 and (got >= LOW).all() and (got <= HIGH).all() and got.dtype == jnp.float32


@pytest.mark.parametrize("y", OUTPUTS)
def test_clip(y):
    head = heads.head(BOX, "clip")
    np.testing.assert_array_equal(head.act(jnp.array(y), None), np.clip(y, LOW, HIGH))
    assert head.outputs == 3


def test_bins_are_evenly_spaced():
    """As in OpenAI's code: "uniform:10" is `1 / (bins - 1) * (high - low) * index + low`."""
    head = heads.head(BOX, "bins:10")
    assert head.outputs == 30
    for index in range(10):
        scores = np.zeros((3, 10), np.float32)
        scores[:, index] = 1
        want = 1 / 9 * (HIGH - LOW) * index + LOW
        np.testing.assert_allclose(head.act(jnp.array(scores.ravel()), None), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_bins_against_numpy(count):
    scores = np.random.default_rng(0).normal(size=(3, count)).astype(np.float32)
    got = heads.bins(BOX, count).act(jnp.array(scores.ravel()), None)
    want = [np.linspace(low, high, count)[np.argmax(row)] for low, high, row in zip(LOW, HIGH, scores)]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_categorical():
    head = heads.head(CHOICES, "categorical")
    got = head.act(jnp.array([0.1, -1, 3, 2.9]), KEY)
    assert head.outputs == 4 and got == 2 and got.dtype == jnp.int32


def test_custom_bins():
    """As in OpenAI's code: "custom:" gives every dimension the same values."""
    head = heads.head(BOX, "bins:0,0.125,0.5")
    scores = np.float32([[0, 2, 1], [3, 2, 1], [0, 0, 1]])
    np.testing.assert_array_equal(head.act(jnp.array(scores.ravel()), None), np.float32([0.125, 0, 0.5]))
    assert head.outputs == 9 and not head.random


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bins:-0.5,0", r"limits of all actions of tests/clock, 0 to 0.5; got \(-0.5, 0.0\)"),
        ("bins:0,0.6", "0 to 0.5; got"),
        ("bins:0,nan", "two or more finite values"),
        ("bins:0,inf", "two or more finite values"),
    ],
)
def test_custom_bins_that_are_no_actions(text, message):
    with pytest.raises(ValueError, match=message):
        heads.head(BOX, text)


def draws(head, y, count=4000):
    return np.array(jax.jit(jax.vmap(lambda key: head.act(jnp.array(y), key)))(jax.random.split(KEY, count)))


def test_gaussian():
    head = heads.head(BOX, "gaussian")
    y = np.float32([0.2, -1, 0.25, -2, -1, -4])
    np.testing.assert_array_equal(head.act(jnp.array(y), None), y[:3])
    got = draws(head, y)
    np.testing.assert_allclose(got.mean(0), y[:3], atol=0.03)
    np.testing.assert_allclose(got.std(0), np.exp(y[3:]), rtol=0.05)
    assert head.outputs == 6 and head.random
    wide = draws(head, np.float32([0, 0, 0, 5, 5, 5]))
    assert (wide >= LOW).all() and (wide <= HIGH).all()


def test_a_sampled_choice():
    head = heads.head(CHOICES, "categorical:sample")
    chances = np.float32([0.1, 0.2, 0.3, 0.4])
    got = draws(head, np.log(chances) + 7)
    np.testing.assert_allclose(np.bincount(got, minlength=4) / len(got), chances, atol=0.03)
    assert head.act(jnp.log(chances), None) == 3 and got.dtype == np.int32
    assert head.random and not heads.head(CHOICES, "categorical").random


@pytest.mark.parametrize("name", ["tanh", "gaussian"])
def test_action_noise(name):
    plain = heads.head(BOX, name)
    head = heads.noisy(plain, BOX, 0.01)
    y = np.full(plain.outputs, -20, np.float32)
    y[0] = 0.1
    np.testing.assert_array_equal(head.act(jnp.array(y), None), plain.act(jnp.array(y), None))
    got = draws(head, y)
    assert head.random and head.outputs == plain.outputs
    np.testing.assert_allclose(got[:, 0].std(), 0.01, rtol=0.05)
    assert (got >= LOW).all(), "actions stay within their limits"
    assert heads.noisy(plain, BOX, 0.0) is plain


@pytest.mark.parametrize("std", [-0.1, float("nan"), float("inf"), True, "0.1"])
def test_action_noise_that_makes_no_sense(std):
    with pytest.raises(ValueError, match="action_noise must be a number of 0 or more, got"):
        heads.noisy(heads.head(BOX, "tanh"), BOX, std)


def test_action_noise_needs_vectors():
    with pytest.raises(ValueError, match="action_noise needs vector actions; tests/clock has 4 choices"):
        heads.noisy(heads.head(CHOICES, "categorical"), CHOICES, 0.1)


@pytest.mark.parametrize("name", VECTORS)
def test_actions_have_the_shape_of_the_space(name):
    head = heads.head(GRID, name)
    assert head.act(jnp.ones(head.outputs), KEY).shape == (3, 1)


@pytest.mark.parametrize("name", VECTORS)
def test_low_precision_stays(name):
    head = heads.head(BOX, name)
    assert jax.eval_shape(head.act, jax.ShapeDtypeStruct((head.outputs,), jnp.bfloat16), KEY).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", VECTORS)
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
    np.testing.assert_array_equal(heads.head(env, "clip").act(jnp.array([1e6, -1e6]), None), [1e6, -1e6])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tan",
        "bins",
        "bins:",
        "bins:x",
        "bins:-2",
        "bins:2.5",
        "bins:1,x",
        "tanh:3",
        "Tanh",
        "bins:²",
        "categorical:9",
    ],
)
def test_odd_names(name):
    with pytest.raises(ValueError, match=r"head must be 'tanh', 'clip', 'bins:COUNT'.*got"):
        heads.head(BOX, name)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_bins(count):
    with pytest.raises(ValueError, match=f"bins must be an int of 2 or more, got {count}"):
        heads.head(BOX, f"bins:{count}")
