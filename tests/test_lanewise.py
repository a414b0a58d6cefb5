"""A function of one lane as one program for all lanes, held against `jax.vmap` of the same function."""

import warnings

import jax
import numpy as np
import pytest
import scipy.special
from jax import lax
from jax import numpy as jnp
from jax.sharding import PartitionSpec
from lanewise_cases import CASES, FALLBACKS, LANES

import jaxes
from jaxes import envs


def same(want, got, tolerance=2e-6):
    assert jax.tree.structure(want) == jax.tree.structure(got)
    for w, g in zip(jax.tree.leaves(want), jax.tree.leaves(got)):
        assert (w.dtype, w.shape) == (g.dtype, g.shape)
        if w.dtype.kind == "f":
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=1e-6)
        else:
            np.testing.assert_array_equal(g, w)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CASES)
def test_it_gives_what_vmap_gives(name):
    function, *arguments = CASES[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        want = jax.jit(jax.vmap(function))(*arguments)
        same(want, jax.jit(jax.vmap(jaxes.lanewise(function)))(*arguments))


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_has_no_rule_is_done_by_vmap_and_told_once(name):
    function, *arguments = FALLBACKS[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        want = jax.jit(jax.vmap(function))(*arguments)
        made = jaxes.lanewise(function)
        with pytest.warns(UserWarning, match=name):
            same(want, jax.jit(jax.vmap(made))(*arguments))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            jax.jit(jax.vmap(made))(*arguments)


def step(x, y):
    turned = lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * y + x, x)
    return {"a": turned, "b": turned.sum()}


X, Y = jnp.arange(24.0).reshape(2, 4, 3), jnp.ones(3)


@pytest.mark.parametrize(
    ("outer", "inner", "y"),
    [
        ((0, None), (0, None), Y),
        ((0, None), (0, 0), jnp.full((4, 3), 2.0)),
        ((0, 0), (0, None), jnp.full((2, 3), 2.0)),
        ((0, 0), (0, 0), jnp.ones((2, 4, 3))),
        ((None, 0), (0, None), jnp.ones((2, 3))),
    ],
)
def test_vmap_of_vmap(outer, inner, y):
    x = X[0] if outer[0] is None else X
    over = lambda f: jax.vmap(jax.vmap(f, inner), outer)(x, y)
    same(over(step), over(jaxes.lanewise(step)))


def test_derivatives_are_those_of_the_function():
    fast = jaxes.lanewise(step)
    total = lambda f: jax.grad(lambda x: jax.vmap(f, (0, None))(x, Y)["b"].sum())(X[0])
    each = lambda f: jax.vmap(jax.grad(lambda x: f(x, Y)["b"]))(X[0])
    along = lambda f: jax.jvp(lambda x: jax.vmap(f, (0, None))(x, Y)["b"], (X[0],), (X[0],))
    for way in (total, each, along):
        same(way(step), way(fast))
    same(jax.grad(lambda x: step(x, Y)["b"])(X[0, 0]), jax.grad(lambda x: fast(x, Y)["b"])(X[0, 0]))


@pytest.mark.parametrize("lanes", [1, 2, 15, 16, 17, 33])
def test_any_number_of_lanes(lanes):
    x = jnp.linspace(-1, 1, lanes * 3).reshape(lanes, 3)
    same(jax.vmap(step, (0, None))(x, Y), jax.vmap(jaxes.lanewise(step), (0, None))(x, Y))


def test_a_lane_has_the_same_bits_wherever_it_is():
    x = jnp.linspace(-1, 1, 48).reshape(16, 3)
    fast = jax.jit(jax.vmap(jaxes.lanewise(step), (0, None)))
    whole = fast(x, Y)["a"]
    for part in (slice(0, 5), slice(3, 4), slice(7, 16)):
        np.testing.assert_array_equal(whole[part], fast(x[part], Y)["a"])


def test_inside_loops_and_with_values_of_an_outer_function():
    def outer(x, k):
        inner = jaxes.lanewise(lambda z: z * k + 1)
        return lax.scan(lambda c, _: (jax.vmap(inner)(c), None), x, length=5)[0]

    want = lambda x, k: lax.scan(lambda c, _: (c * k + 1, None), x, length=5)[0]
    same(jax.jit(want)(X[0], 3.0), jax.jit(outer)(X[0], 3.0))
    ks = jnp.arange(3.0)
    same(jax.vmap(want, (None, 0))(X[0], ks), jax.vmap(outer, (None, 0))(X[0], ks))


@pytest.mark.parametrize("checked", [True, False])
def test_on_several_devices(checked):
    mesh = jax.make_mesh((1,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    on = PartitionSpec("lanes")
    over = lambda f: jax.shard_map(
        lambda x: jax.vmap(f, (0, None))(x, Y)["a"], mesh=mesh, in_specs=on, out_specs=on, check_vma=checked
    )
    same(jax.jit(over(step))(X[0]), jax.jit(over(jaxes.lanewise(step)))(X[0]))


def test_zero_times_a_number_is_zero_only_if_numbers_are_finite():
    zero = lambda x: 0.0 * x
    bad = jnp.array([jnp.inf, jnp.nan, 1.0])
    assert jnp.isnan(jax.vmap(jaxes.lanewise(zero))(bad)[:2]).all()
    assert jax.vmap(jaxes.lanewise(zero, finite=True))(bad).tolist() == [0, 0, 0]


def test_the_inverse_of_erf_is_right_up_to_its_ends():
    """Against float64; near the ends `vmap` itself is 3e-6 off, because it rounds x * x."""
    x = np.concatenate([np.linspace(-1, 1, 2001)[1:-1], 1 - 2.0 ** -np.arange(3, 24)]).astype(np.float32)
    out = jax.vmap(jaxes.lanewise(lax.erf_inv))(x)
    np.testing.assert_allclose(out, scipy.special.erfinv(x.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("partitionable", [True, False])
def test_keys_give_the_bits_that_they_give_by_vmap(partitionable):
    """With both layouts of JAX's generator, one after the other."""
    before = jax.config.jax_threefry_partitionable
    keys = jax.random.split(jax.random.key(3), 7)
    draw = jaxes.lanewise(lambda key: (jax.random.bits(key, (5,)), *map(jax.random.key_data, jax.random.split(key))))
    try:
        for way in (not partitionable, partitionable):
            jax.config.update("jax_threefry_partitionable", way)
            same([jax.vmap(lambda k: jax.random.bits(k, (5,)))(keys)], [jax.jit(jax.vmap(draw))(keys)[0]])
    finally:
        jax.config.update("jax_threefry_partitionable", before)


def test_keys_go_in_and_come_out():
    """Keys that are arguments, results, shared by all lanes, constants, and in parts that fall back."""
    keys, shared = jax.random.split(jax.random.key(0), 6).reshape(3, 2), jax.random.key(9)

    def function(pair, common, number):
        mixed = jax.random.fold_in(common, number)
        words = jax.random.key_data(jax.random.split(shared, 3))
        return pair[::-1], mixed, common, words, jax.random.permutation(pair[0], 66), jax.random.split(pair[1])

    over = lambda f: jax.vmap(f, (0, None, 0))(keys, jax.random.key(5), jnp.arange(3))
    with pytest.warns(UserWarning, match="sort"):
        want, got = over(function), over(jaxes.lanewise(function))
    data = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    assert jax.tree.map(jnp.shape, want) == jax.tree.map(jnp.shape, got)
    same(jax.tree.map(data, want), jax.tree.map(data, got))


def test_what_nobody_reads_does_not_fall_back():
    told = jaxes.lanewise.explain(lambda x: (lax.lgamma(x), x * 2)[1], jnp.zeros(3))
    assert told.fallbacks == () and told.after == 3
    shown = jaxes.lanewise.explain(lambda x: (jax.debug.print("{x}", x=x), x * 2)[1], jnp.zeros(3))
    assert [name for name, _ in shown.fallbacks] == ["debug_print" if "debug_print" in str(shown) else "debug_callback"]


def test_operations_without_a_rule_are_done_at_once_of_constants():
    function = lambda x: x + jnp.sort(jnp.array([3.0, 1.0, 2.0])) * lax.lgamma(jnp.float32(3.5))
    assert jaxes.lanewise.explain(function, jnp.zeros(3)).fallbacks == ()
    x = jnp.arange(6.0).reshape(2, 3)
    same(jax.vmap(function)(x), jax.vmap(jaxes.lanewise(function))(x))


def test_it_explains_itself():
    told = jaxes.lanewise.explain(CASES["loop"][0], jnp.zeros(3), jnp.zeros(3))
    assert told.fallbacks == () and told.whole is None
    # Two counters that are always equal are one.
    assert told.loops == ((7, 12, 11),)
    assert 0 < told.after < told.before
    assert "loop of 7 turns: carries 11 of 12 elements" in str(told)
    sorts = jaxes.lanewise.explain(lambda x: jnp.sort(x) * 2, jnp.zeros(66))
    assert sorts.fallbacks == (("sort", "sorting of 66 elements"),)
    assert "by vmap: sort" in str(sorts)
    large = jaxes.lanewise.explain(lambda x: x * 2, jnp.zeros(20_001))
    assert "20,001 elements" in str(large)


def test_what_is_as_fast_by_vmap_may_be_left_to_it():
    """A program of a few operations, and one that hardly computes what it writes; not one that draws a number."""
    little, wide = (lambda x: x * 2), (lambda x: jnp.zeros(2_500) + jnp.float32(3) * x)
    draws = lambda x: jax.random.uniform(jax.random.wrap_key_data(x))
    for function, x, message in (
        (little, jnp.ones((4, 3)), "3 operations that write 3 numbers"),
        (wide, jnp.ones(4), "1 operations that write 2,500 numbers"),
    ):
        with pytest.warns(UserWarning, match=message):
            same(jax.vmap(function)(x), jax.vmap(jaxes.lanewise(function, choosy=True))(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.vmap(jaxes.lanewise(draws, choosy=True))(jnp.ones((4, 2), jnp.uint32))
        jax.vmap(jaxes.lanewise(little))(jnp.ones((4, 3)))


def test_places_are_looked_for_by_vmap_where_that_would_be_most_of_a_program():
    """A map of 900 fields; not in a program that does much else, nor in a small map or one of constants."""
    move = lambda x, i: (x.at[i].add(1.0), i + x[i].astype(jnp.int32))
    much = lambda x, i: (*move(x, i), lax.fori_loop(0, 9, lambda _, y: jnp.sin(y + x[:600]), x[:600] * 2 + x[1:601]))
    sines = lambda x, i: (x, x[0] + jnp.asarray(np.sin(np.arange(900.0)), jnp.float32)[i])
    many, few, i = jnp.zeros(900), jnp.zeros(100), jnp.int32(0)
    names = lambda *of: [name for name, _ in jaxes.lanewise.explain(*of).fallbacks]
    assert names(move, many, i) == ["scatter-add", "dynamic_slice"]
    assert names(move, few, i) == names(sines, few, i) == names(much, many, i) == []


def test_large_products_with_constants_are_those_of_vmap():
    """64 by 64 is more than a chunk of lanes does well; 32 by 32, and what has hardly another number than 0, is not."""
    matrix = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    apply = lambda m: lambda x: jnp.tanh(x @ jnp.asarray(m))
    told = lambda m: jaxes.lanewise.explain(apply(m), jnp.zeros(len(m))).fallbacks
    assert told(matrix) == (("dot_general", "a product with 4,096 constants"),)
    assert told(matrix[:32, :32]) == told(np.triu(np.tril(matrix))) == ()
    x = jnp.asarray(matrix)
    same(jax.vmap(apply(matrix))(x), jax.vmap(jaxes.lanewise(apply(matrix), quiet=True))(x), 1e-5)


def test_without_llvmlite_vmap_does_it(monkeypatch):
    from jaxes.lanewise import function

    monkeypatch.setattr(function, "unavailable", lambda platform: "llvmlite is not installed")
    with pytest.warns(UserWarning, match="llvmlite is not installed"):
        same(jax.vmap(step, (0, None))(X[0], Y), jax.vmap(jaxes.lanewise(step), (0, None))(X[0], Y))


def test_bad_arguments():
    with pytest.raises(TypeError, match="function must be a function of one lane, not int"):
        jaxes.lanewise(3)


@pytest.mark.parametrize("name", ["brax/inverted_pendulum", "brax/hopper"])
def test_physics(name):
    """One step from states on the way: the difference is small beside the state."""
    env = envs.make(name)
    keys = jax.random.split(jax.random.key(0), 2 * LANES)
    low, high = env.action.low, env.action.high
    action = jax.random.uniform(jax.random.key(1), (2 * LANES, *low.shape), minval=low, maxval=high)
    state = jax.jit(jax.vmap(env.reset))(keys)
    slow, fast = (jax.jit(jax.vmap(f)) for f in (env.step, jaxes.lanewise(env.step)))
    for _ in range(10):
        want, got = slow(state, action), fast(state, action)
        for w, g in zip(jax.tree.leaves(want), jax.tree.leaves(got)):
            if w.dtype.kind == "f" and w.size:
                assert jnp.abs(w - g).max() <= 1e-4 * max(1.0, float(jnp.abs(w).max()))
        state = want


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brax/hopper", "brax/humanoid"])
def test_errors_beside_double_precision_are_those_of_vmap(name):
    """The root mean square over all that five steps of 16 lanes give, beside the size of each leaf."""
    env = envs.make(name)
    low, high = env.action.low, env.action.high
    action = jax.random.uniform(jax.random.key(1), (16, *low.shape), minval=low, maxval=high)
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 16))
    slow, fast = (jax.jit(jax.vmap(f)) for f in (env.step, jaxes.lanewise(env.step)))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        exact = jax.jit(jax.vmap(envs.make(name).step))
    squares = np.zeros(2)
    for _ in range(5):
        both = slow(state, action), fast(state, action)
        with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
            wide = jax.tree.map(lambda x: np.asarray(x, np.float64) if x.dtype == np.float32 else x, (state, action))
            want = exact(*wide)
        for leaves in zip(*map(jax.tree.leaves, (want, *both))):
            w, *results = (np.asarray(x) for x in leaves)
            if w.dtype.kind == "f" and w.size:
                size = max(1.0, float(np.abs(w).max()))
                squares += [np.mean(np.square((x - w.astype(np.float64)) / size)) for x in results]
        state = both[0]
    vmap, ours = np.sqrt(squares)
    assert ours <= 1.5 * vmap, (ours, vmap)
