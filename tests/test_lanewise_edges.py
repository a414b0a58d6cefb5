"""Where a lane computes in an unusual way: each value, type and bit is that of `vmap`, whatever other lanes hold."""

import dataclasses
import threading

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

import jaxes

LANES = 64
UNIFORM = np.random.default_rng(0).uniform(-3, 3, (2, LANES)).astype(np.float32)


def both(function, *arguments, **how):
    return jax.vmap(function, **how)(*arguments), jax.vmap(jaxes.lanewise(function), **how)(*arguments)


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "arctan2"])
@pytest.mark.parametrize("number", [np.nan, np.inf, 1e5, 0.0])
def test_no_lane_changes_a_bit_of_another(name, number):
    function = jax.vmap(jaxes.lanewise(getattr(jnp, name)))
    arguments = UNIFORM if name == "arctan2" else UNIFORM[:1]
    spoiled = arguments.copy()
    spoiled[0, 5] = number
    want, got = function(*arguments), function(*spoiled)
    np.testing.assert_array_equal(np.delete(got, 5), np.delete(want, 5))
    with np.errstate(all="ignore"):
        right = getattr(np, name)(*spoiled[:, 5])
    np.testing.assert_allclose(got[5], right, rtol=1e-5)


def test_tanh_becomes_one():
    x = np.float32([20, np.inf, -np.inf, np.nan, 0.5])
    want, got = both(lambda x: (jnp.tanh(x), 1 / (1 - jnp.tanh(x)), jnp.tanh(x) == 1), x)
    jax.tree.map(lambda w, g: np.testing.assert_allclose(g, w, rtol=1e-6), want, got)


def test_whole_numbers_that_are_known_while_tracing():
    function = lambda a: (
        a * 0 + lax.div(jnp.int32(-(2**31)), jnp.int32(3)),
        a * 0 + lax.rem(jnp.int32(-(2**31)), jnp.int32(3)),
        a.astype(jnp.int8) * 0 + lax.div(jnp.int8(-128), jnp.int8(3)),
        a.astype(jnp.uint32) * 0 + lax.shift_right_arithmetic(jnp.uint32(1 << 31), jnp.uint32(4)),
    )
    got = jax.vmap(jaxes.lanewise(function))(jnp.arange(2))
    assert [int(x[0]) for x in got] == [-715827882, -2, -42, 4160749568]


def test_the_sign_of_zero_decides_an_infinity():
    want, got = both(lambda x: (1 / -(x - 1.0), 1 / (0.0 - x)), np.float32([1, 0]))
    np.testing.assert_array_equal(want, got)


@pytest.mark.filterwarnings("ignore:jaxes.lanewise")
def test_a_matrix_that_is_not_positive_definite():
    matrices = np.float32([[[1, 2], [2, 1]], [[2, 1], [1, 2]]])
    want, got = both(jnp.linalg.cholesky, matrices)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert np.isnan(got[0, 0, 0])


@pytest.mark.filterwarnings("ignore:jaxes.lanewise")
def test_a_rule_of_its_own_for_vmap_is_kept():
    @jax.custom_batching.custom_vmap
    def centered(x):
        return x

    @centered.def_vmap
    def _(size, batched, x):
        return x - x.mean(), True

    want, got = both(lambda x: centered(x) * 2, np.arange(5, dtype=np.float32))
    np.testing.assert_array_equal(got, want)


def test_numbers_of_python_and_weak_types():
    times = lambda x, c: x * c
    want, got = both(times, jnp.ones(3), 2.0, in_axes=(0, None))
    np.testing.assert_array_equal(got, want)
    _, got = both(times, jnp.ones(3, jnp.int8), jnp.asarray(2), in_axes=(0, None))
    assert got.dtype == jnp.int8


@dataclasses.dataclass
class Factor:
    """Something that can be called, and not be hashed."""

    size: float

    def __call__(self, x):
        return x * self.size


def test_names_and_what_cannot_be_hashed():
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(jax.vmap(jaxes.lanewise(Factor(2.0)))(x), 2 * x)
    product = jaxes.lanewise(lambda x, k=1.0: x * k)
    np.testing.assert_array_equal(jax.vmap(product)(x, k=x), x * x)
    assert jaxes.lanewise(both).__name__ == "both"


def test_threads_that_make_the_same_kernel():
    failed = []

    def work():
        try:
            jax.vmap(jaxes.lanewise(lambda x: jnp.sin(x) * 2 + x[::-1]))(np.ones((8, 4), np.float32))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("name", ["finite", "whole", "quiet", "fast", "choosy"])
def test_settings_are_true_or_false(name):
    with pytest.raises(TypeError, match=f"{name} must be True or False; got 'yes'"):
        jaxes.lanewise(both, **{name: "yes"})


def test_explain_wants_a_function():
    with pytest.raises(TypeError, match="function must be a function of one lane, not int"):
        jaxes.lanewise.explain(3, 1.0)
