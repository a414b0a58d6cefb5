"""Products with a matrix a lane, and chunks shared out among threads: they give what `jax.vmap` gives."""

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

import jaxes
from jaxes import rl
from jaxes.lanewise import threads
from jaxes.lanewise.function import platform
from jaxes.lanewise.program import traced

RNG = np.random.default_rng(0)
LANES = 19


def floats(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


def same(want, got, tolerance=3e-6):
    assert jax.tree.structure(want) == jax.tree.structure(got)
    for w, g in zip(jax.tree.leaves(want), jax.tree.leaves(got)):
        assert (w.dtype, w.shape) == (g.dtype, g.shape)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * max(1, abs(np.asarray(w)).max()))


def dense(x, w):
    return jnp.tanh(x @ w)


def layers(x, v, w):
    return jnp.tanh(jnp.tanh(x @ v) @ w) @ v.T


def beside_itself(x, w):
    return x @ w + jnp.sum(w * w)


def gates(x, v, w):
    return jnp.split(x @ jnp.concatenate([v, w], 1), 2)


def a_slice(x, w):
    return x @ w[:, 3:19], x[2:5] @ w[1:4]


def stacked(x, v, w):
    """Two arrays whose rows of the table are neighbors, but which do not lie beside each other in memory."""
    return jnp.concatenate([x, x]) @ jnp.concatenate([v, w])


def reversed_lines(x, w):
    return x @ w[::-1], x @ w[:, ::-1]


def several(x, w):
    return jnp.stack([x, 2 * x, x * x]) @ w


def turns(x, w):
    return lax.fori_loop(0, 3, lambda i, y: jnp.tanh(y @ w) + i, x)


def until(x, w):
    return lax.while_loop(lambda y: jnp.sum(y * y) > 1e-2, lambda y: jnp.tanh(0.05 * (y @ w)), x)


def large(x, v, w):
    return jnp.tanh(x @ v) @ w


SQUARE = floats(LANES, 16, 16)
CASES = {
    "11 x 64": (dense, floats(LANES, 11), floats(LANES, 11, 64)),
    "64 x 17": (dense, floats(LANES, 64), floats(LANES, 64, 17)),
    "16 x 8": (dense, floats(LANES, 16), floats(LANES, 16, 8)),
    "1 x 200": (dense, floats(LANES, 1), floats(LANES, 1, 200)),
    "70 x 9": (dense, floats(LANES, 70), floats(LANES, 70, 9)),
    "33 x 300": (dense, floats(LANES, 33), floats(LANES, 33, 300)),
    "narrow": (dense, floats(LANES, 64), floats(LANES, 64, 3)),
    "transposed": (layers, floats(LANES, 12), floats(LANES, 12, 20), floats(LANES, 20, 20)),
    "beside itself": (beside_itself, floats(LANES, 12), floats(LANES, 12, 20)),
    "gates": (gates, floats(LANES, 10), floats(LANES, 10, 20), floats(LANES, 10, 20)),
    "a slice": (a_slice, floats(LANES, 12), floats(LANES, 12, 64)),
    "stacked": (stacked, floats(LANES, 8), floats(LANES, 8, 16), floats(LANES, 8, 16)),
    "reversed lines": (reversed_lines, floats(LANES, 16), SQUARE),
    "several vectors": (several, floats(LANES, 12), floats(LANES, 12, 20)),
    "in a loop": (turns, floats(LANES, 16), SQUARE),
    "in a loop of unknown length": (until, floats(LANES, 16), SQUARE),
    "more than 20,000 elements": (large, floats(LANES, 64), floats(LANES, 64, 400), floats(LANES, 400, 9)),
}


@pytest.mark.filterwarnings("ignore:jaxes.lanewise")
@pytest.mark.parametrize("name", CASES)
def test_a_matrix_a_lane(name):
    function, *arguments = CASES[name]
    with jax.default_matmul_precision("highest"):
        same(jax.vmap(function)(*arguments), jax.jit(jax.vmap(jaxes.lanewise(function)))(*arguments))


def products(function, *arguments):
    """Shapes of the products with a matrix that is read from where it lies."""
    table = traced(jax.make_jaxpr(function)(*(x[0] for x in arguments))).table
    return {(m.lines, m.columns) for m in table.products.values()}


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("11 x 64", {(11, 64)}),
        ("1 x 200", {(1, 200)}),
        ("narrow", set()),
        ("transposed", {(12, 20), (20, 20)}),
        ("gates", {(10, 20)}),
        ("a slice", {(12, 16), (3, 64)}),
        ("stacked", set()),
        ("reversed lines", set()),
        ("in a loop", {(16, 16)}),
        ("more than 20,000 elements", {(400, 9)}),
    ],
)
def test_which_matrices_are_read_from_where_they_lie(name, shapes):
    assert products(*CASES[name]) == shapes


@pytest.mark.parametrize("lanes", [1, 2, 16, 33])
def test_numbers_of_lanes_and_doubles(lanes):
    for dtype, tolerance in ((np.float32, 3e-6), (np.float64, 1e-13)):
        with jax.enable_x64(True):
            x, w = floats(lanes, 24, dtype=dtype), floats(lanes, 24, 40, dtype=dtype)
            same(jax.vmap(dense)(x, w), jax.jit(jax.vmap(jaxes.lanewise(dense)))(x, w), tolerance)


def test_a_matrix_for_all_lanes_and_lanes_of_lanes():
    x, shared, own = floats(3, 5, 24), floats(24, 40), floats(3, 5, 24, 40)
    fast = jaxes.lanewise(dense)
    over = lambda f, outer, inner, w: jax.jit(jax.vmap(jax.vmap(f, (0, inner)), (0, outer)))(x, w)
    for outer, inner, w in ((None, None, shared), (0, None, own[:, 0]), (None, 0, own[0]), (0, 0, own)):
        same(over(dense, outer, inner, w), over(fast, outer, inner, w))


def test_what_varies_over_devices_is_told():
    """In a loop of `shard_map` what is carried must be of the type that it began with."""
    mesh = jax.make_mesh((1,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    on = jax.sharding.PartitionSpec("lanes")
    x, w = floats(4, 16), floats(4, 16, 16)

    def run(step):
        def loop(x, w):
            turn = lambda _, x: jax.vmap(step)(x, w) + 1e-3 * lax.psum(jnp.sum(x), "lanes")
            return lax.fori_loop(0, 3, turn, x)

        return jax.jit(jax.shard_map(loop, mesh=mesh, in_specs=(on, on), out_specs=on))(x, w)

    same(run(dense), run(jaxes.lanewise(dense)), 1e-5)


def test_nan_and_infinity_are_kept():
    x, w = floats(4, 16), floats(4, 16, 16)
    x[0], w[0, 3, 5], w[1, 2, 7], x[2, 4] = 0, np.nan, np.inf, np.inf
    got = np.asarray(jax.jit(jax.vmap(jaxes.lanewise(lambda x, w: x @ w)))(x, w))
    np.testing.assert_allclose(got, np.einsum("li,lij->lj", x, w), rtol=1e-5, atol=1e-5)


def stirred(x, y):
    for _ in range(20):
        x, y = jnp.sin(y) + x * 0.5, jnp.cos(x) - y * 0.25
    return x, y


@pytest.mark.parametrize("lanes", [16, 50, 700])
def test_threads_change_no_bit(lanes, monkeypatch):
    x, y = floats(lanes, 30), floats(lanes, 30)
    run = lambda: jax.jit(
        lambda: lax.scan(lambda c, _: (jax.vmap(jaxes.lanewise(stirred))(*c), None), (x, y), length=9)[0]
    )()
    monkeypatch.setattr(threads, "ENOUGH", 10**12)
    alone = run()
    monkeypatch.setattr(threads, "ENOUGH", 1)
    for _ in range(3):
        for a, b in zip(alone, run()):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(platform() != "cpu", reason="policies are programs on CPUs")
@pytest.mark.parametrize("network", ["mlp", "gru", "lstm"])
def test_rollouts_whose_policy_is_a_program(network):
    env = jaxes.envs.make("jaxes/cartpole_swingup")
    policy = {"mlp": rl.mlp, "gru": rl.gru, "lstm": rl.lstm}[network](env, (24,))
    strategy = jaxes.open_es(12, 0.1)
    state = strategy.init(jax.random.key(0), policy.init(jax.random.key(1)))

    def fitness(how, lanes):
        problem = rl.rollout(env, policy, max_steps=20, lanes=lanes, lanewise=how)
        ask = lambda ids=None: strategy.ask(state, ids)
        evaluate = lambda start: problem.evaluate(start, jax.random.key(2), ask, jnp.arange(12))[0]
        return jax.jit(evaluate)(problem.init(jax.random.key(3)))

    want = fitness("off", 12)
    for lanes in (5, 12):
        np.testing.assert_allclose(fitness("auto", lanes), want, rtol=1e-3, atol=1e-3)
