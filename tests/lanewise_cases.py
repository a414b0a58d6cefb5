"""Functions of one lane and arguments of several, by name: what `jaxes.lanewise` is held against `jax.vmap` with."""

import jax
import jax.scipy.sparse.linalg
import numpy as np
from jax import lax
from jax import numpy as jnp

LANES = 5
RNG = np.random.default_rng(0)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e38, 2e-38, 3.0], np.float32)
ENDS = np.array([-(2**31), 2**31 - 1, -1, 0, 1, 7], np.int32)


def floats(*shape):
    return RNG.normal(size=(LANES, *shape)).astype(np.float32)


def special(*shape):
    return RNG.choice(SPECIAL, size=(LANES, *shape))


def ints(*shape, low=-9, high=9):
    return RNG.integers(low, high, size=(LANES, *shape)).astype(np.int32)


def ends(*shape):
    return RNG.choice(ENDS, size=(LANES, *shape))


def words(*shape):
    return RNG.integers(0, 2**32, size=(LANES, *shape), dtype=np.uint32)


def bools(*shape):
    return RNG.random((LANES, *shape)) < 0.5


CASES: dict[str, tuple] = {}
UNARY = "exp exp2 expm1 log log1p sqrt rsqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc"
for name in (UNARY + " floor ceil sign abs neg is_finite logistic square").split():
    CASES[name] = (getattr(lax, name), np.concatenate([floats(7), special(20)], 1))
CASES["round away from zero"] = (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), special(20) * 0.5)
CASES["whole powers"] = (lambda x, n: (x**n, (x + 0.5) ** n), floats(9), ints(9, low=-4, high=5))
CASES["round"] = (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), floats(9) * 3)
for name in ["add", "sub", "mul", "div", "rem", "max", "min", "atan2", "pow", "lt", "le", "gt", "ge", "eq", "ne"]:
    CASES[name] = (getattr(lax, name), *[np.concatenate([floats(7), special(30)], 1) for _ in "ab"])
WHOLE = "add sub mul div rem max min lt le gt ge eq ne bitwise_and bitwise_or bitwise_xor"
for name in (WHOLE + " shift_left shift_right_logical shift_right_arithmetic").split():
    CASES[f"{name} of ints"] = (getattr(lax, name), *[np.concatenate([ints(20), ends(20)], 1) for _ in "ab"])
    CASES[f"{name} of words"] = (getattr(lax, name), words(20), words(20) & 63)
NUMBERS = {"floats": np.concatenate([special(10), floats(10) * 300], 1), "ints": ints(10) * 1000, "bools": bools(10)}
for kind, numbers in {**NUMBERS, "words": words(10)}.items():
    for dtype in ("int8", "int16", "int32", "uint8", "uint32", "float32", "bool"):
        CASES[f"{kind} to {dtype}"] = (lambda x, dtype=dtype: x.astype(dtype), numbers)


def moved(x):
    some, pair = jnp.array([2, 0, -1]), jnp.array([1, 9, 0])
    return (
        *(x.T, x[::-1], x[1:3, ::2], lax.pad(x, np.float32(7), ((-1, 2, 1), (0, -1, 2)))),
        *(jnp.concatenate([x, x * 2], 1), jnp.stack([x, x]), jnp.tile(x, (2, 3)), jnp.repeat(x, 2, 0)),
        *(jnp.roll(x, 1, 0), x[some], x[:, some], x[jnp.array([0, 1]), jnp.array([2, 2])], jnp.split(x, 2, 1)),
        *(jnp.take(x, pair, axis=0), jnp.take(x, pair, axis=1, mode="clip"), jnp.diag(x[:4, :4]), jnp.triu(x)),
        *(lax.dynamic_slice(x, (1, 4), (2, 3)), x.reshape(-1)[None], jnp.squeeze(x[:1]), x[..., None]),
    )


def updated(x, y):
    return (
        *(x.at[1].set(y), x.at[jnp.array([0, 2, 0])].add(y), x.at[:, 1].mul(2.0), x.at[-1, -1].min(-5.0)),
        *(x.at[jnp.array([0, 9])].max(y[None]), x.at[1:3, ::2].add(1.0)),
        lax.dynamic_update_slice(x, y[None, :2], (2, 5)),
    )


def reduced(x):
    return (x.sum(0), x.max(1), x.min(), x.prod(1), x.argmax(0), x.argmin(1), jnp.cumsum(x, 1), jnp.cumprod(x, 0))


def solved(a):
    positive = a @ a.T + jnp.eye(4)
    root = jnp.linalg.cholesky(positive)
    by_steps, _ = jax.scipy.sparse.linalg.cg(lambda x: positive @ x, a[0], maxiter=3)
    low, up = (jax.scipy.linalg.solve_triangular(positive, a, lower=lower, trans=1) for lower in (True, False))
    return root, jax.scipy.linalg.cho_solve((root, True), a), low, up, by_steps


def carried(x, y):
    """A loop with an element that stays, two that are always equal, a counter, and a shift."""
    turn = lambda i, c: (c[0] + y * i, c[1], c[0], c[3] + 1.0, c[4] + 1.0, c[2])
    zero = jnp.float32(0)
    return lax.fori_loop(0, 7, turn, (x, y, x * 0, zero, zero, x))


def nested(x):
    inner = lambda j, d: (d[0] * 0.5 + d[1] + j, d[1])
    return lax.fori_loop(0, 3, lambda i, c: lax.fori_loop(0, 4, inner, c), (x, jnp.sin(x)))


def until(x, k):
    """Loops of a lane's own length, inside a loop."""
    grow = lambda c: (c[0] * 1.5, c[1] + 1)
    first = lax.while_loop(lambda c: c[1] < k, grow, (x, 0))
    within = lambda i, y: lax.while_loop(lambda c: (jnp.abs(c) < 9).all(), lambda c: c * 1.5 + 0.1, y) - 1
    never = lax.while_loop(lambda c: c[0] > 1e9, lambda c: (c[0] * 2, c[1] + 1), (x[0], x[1]))
    known = lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * 0.5 + x[0]), (0, jnp.float32(1)))
    return first, lax.fori_loop(0, 3, within, x), never, known


def written_out(x):
    step = lambda c, t: (c * 0.9 + t, c.sum())
    return lax.scan(step, x[0], x), lax.scan(step, x[0], x, reverse=True)


def looked_up(x, i, j, some):
    """Elements, rows and windows at places that a lane computes, inside and outside of the array."""
    narrow, wide = i.astype(jnp.int8), i.astype(jnp.uint32)
    return (
        *(x[i], x[:, j], x[i, j], x[some], x[some, j], x[some[:, None], some[None]], x[::-1][i], x[narrow], x[wide]),
        *(jnp.take(x, i, 0), jnp.take(x, some, 1, mode="clip"), jnp.take(x, some, 0, mode="fill", fill_value=7)),
        *(x.at[i].get(mode="fill", fill_value=3), x.at[some, j].get(mode="fill"), jnp.take(x, some, 1, mode="wrap")),
        *(
            lax.dynamic_slice(x, (i, j), (2, 3)),
            lax.dynamic_slice(x, (j, 1), (4, 2)),
            lax.dynamic_slice(x, (i, 0), (3, 6)),
        ),
        *(jnp.take_along_axis(x, some[None] % 6, 1), jax.vmap(lambda row, k: row[k])(x[:3], some)),
        *(
            (x > 0)[i],
            jnp.arange(6)[some],
            jnp.array([[1, 2], [3, 4]])[i % 2],
            jnp.roll(x, i, 1),
            x.reshape(-1)[i * 6 + j],
        ),
        lax.fori_loop(0, 4, lambda t, total: total * 0.5 + x[t, (t + j) % 6], jnp.float32(0)),
        *(jax.nn.one_hot(i, 5), jnp.argmax(x[i]), lax.dynamic_index_in_dim(x, wide, 1)),
    )


def put(x, y, i, j, some):
    """The same of updates: of two at one place both count, or the last one."""
    return (
        *(x.at[i].set(y), x.at[:, j].set(1.0), x.at[i, j].set(y[0]), x.at[some].add(y[None]), x.at[some, j].add(1.0)),
        *(x.at[some].set(y[None] * jnp.arange(3.0)[:, None]), x.at[i].mul(2.0), x.at[some, some].min(-5.0)),
        *(
            x.at[some].max(y[None]),
            x.at[i].add(y, mode="clip"),
            x.at[i.astype(jnp.int8)].set(y),
            x.at[i].set(y, mode="drop"),
        ),
        *(x.at[i].apply(jnp.sin), x.at[1, 1:3].apply(lambda z: z * z), x.at[some].subtract(2.0), x.at[some].power(2.0)),
        *(lax.dynamic_update_slice(x, y[None, :2], (i, j)), lax.dynamic_update_slice(x, x[:4, :3] * 2, (0, j))),
        *(jnp.zeros(5, jnp.int32).at[some].add(1), jnp.zeros((4, 6), bool).at[i, j].set(True)),
        jax.vmap(lambda row, k: row.at[k].set(9.0))(x[:3], some),
        lax.fori_loop(0, 4, lambda t, c: c.at[t].add(c[t - 1]), x[:, 0]),
    )


def drawn(words):
    """What is drawn from keys, as words and numbers."""
    key = jax.random.wrap_key_data(words)
    first, second = jax.random.split(key)
    many = jax.random.split(first, (2, 3))
    third = jax.random.fold_in(second, words[0])
    data = (
        jax.random.key_data(k) for k in (first, second, many, third, jax.random.key(words[1]), jax.random.clone(key))
    )
    return (
        *data,
        *(jax.random.bits(first, (5,)), jax.random.bits(first, (3,), "uint8"), jax.random.bits(second, (3,), "uint16")),
        *(jax.random.uniform(second), jax.random.randint(third, (2, 3), -3, 9), jax.random.bernoulli(first, 0.3, (4,))),
        *(jax.random.split(words, 3), jax.vmap(jax.random.uniform)(many[0]), jax.random.choice(third, 5, (3,))),
    )


def moved_keys(words, choice, x):
    """Keys in loops, branches and arrays."""
    key = jax.random.wrap_key_data(words)
    first, second = jax.random.split(key)
    some = jax.random.split(key, 4)
    step = lambda i, c: (jax.random.fold_in(c[0], i), c[1] + jax.random.uniform(c[0]))
    last, ys = lax.scan(lambda c, _: (jax.random.split(c)[0], jax.random.uniform(c)), second, length=3)
    out = (
        *(lax.cond(choice, lambda: first, lambda: second), jnp.where(choice, first, second), last),
        *(lax.fori_loop(0, 3, step, (first, x))[0], some[choice.astype(jnp.int32) + 1], some.at[1].set(first)),
        lax.while_loop(lambda c: jax.random.uniform(c) < 0.7, lambda c: jax.random.split(c)[1], first),
        *(jnp.concatenate([some[::-1], some[:2]]).reshape(2, 3).T, jnp.stack([first, second]), some[:0]),
    )
    return ys, *map(jax.random.key_data, out)


def normal(words):
    key = jax.random.wrap_key_data(words)
    return jax.random.normal(key, (40,)), jax.random.truncated_normal(key, -1, 1, (3,)), jax.random.exponential(key)


def in_order(x, i, special):
    same = jnp.round(x * 2)  # with equal elements
    return (
        *(jnp.sort(x, 0), jnp.sort(x, 1, descending=True), jnp.argsort(same, 1), jnp.argsort(-same, 0), jnp.sort(i)),
        *(
            jnp.sort(special),
            jnp.argsort(special),
            lax.sort((same, i, x), num_keys=2),
            jnp.sort(x[:, :1]),
            x[:, :0].sort(),
        ),
        *(lax.top_k(same, 3), lax.top_k(i[0], 4), lax.top_k(special, 8), jnp.median(x), jnp.unique(i[0], size=5)),
        *(jax.random.permutation(jax.random.key(0), x[0]), jnp.sort(i.astype(jnp.uint32)[0])),
    )


def bits(x):
    word = lax.bitcast_convert_type(x, jnp.uint32)
    return lax.bitcast_convert_type(x, jnp.int32), lax.bitcast_convert_type(word >> 3, jnp.float32)


def mixed_with_empty(s):
    whole = jnp.concatenate([s["a"], s["b"].reshape(-1)])
    return {"a": s["a"][:0], "b": s["b"], "c": s["a"] * 2, "d": jnp.zeros((0, 3)), "e": whole}


CASES |= {
    "logic": (lambda a, b: (a & b, a | b, a ^ b, ~a, a == b, a < b, jnp.where(a, b, ~b)), bools(9), bools(9)),
    "moves": (moved, floats(4, 6)),
    "updates": (updated, floats(4, 6), floats(6)),
    "reductions": (reduced, floats(3, 4)),
    "reductions of special numbers": (lambda x: (x.max(1), x.min(0), x.argmax(0), x.argmin(1)), special(5, 6)),
    "reductions by functions": (
        lambda x, y: (
            lax.reduce(x, np.float32(2), lambda a, b: a * 0.5 + b, (1,)),
            lax.reduce((x, y), (np.float32(0), np.int32(1)), lambda a, b: (a[0] + b[0], jnp.maximum(a[1], b[1])), (0,)),
            lax.reduce(y, np.int32(0), lax.bitwise_xor, (0, 1)),
        ),
        *(floats(3, 4), ints(3, 4)),
    ),
    "counts of bits": (
        lambda x, y: [
            f(z) for f in (lax.clz, lax.population_count) for z in (x, y, x.astype(jnp.int8), y.astype(jnp.uint16))
        ],
        *(ends(9), words(9)),
    ),
    "reductions of bools": (lambda x: (x.any(0), x.all(1), x.sum()), bools(3, 4)),
    "cumulative maximum": (lambda x: lax.cummax(x, 1, reverse=True), floats(3, 4)),
    "products": (
        lambda a, b: (a @ b, jnp.einsum("ij,ik->jk", a, a), jnp.outer(a[0], b[0])),
        floats(3, 4),
        floats(4, 2),
    ),
    "batched product": (lambda a, b: jnp.einsum("bij,bjk->bik", a, b), floats(2, 3, 4), floats(2, 4, 3)),
    "product of ints": (lambda a, b: a @ b, ints(3, 3), ints(3)),
    "powers": (lambda x: (x**3, x**-2, x**0, x**7), floats(4)),
    "clip": (lambda x: jnp.clip(x, -1, 1), special(9)),
    "zero times": (lambda x: (x * 0.0, 0.0 / x, x - x, x / x, 0.0 * x + 1.0, x + 0.0, x * 1.0), special(10)),
    "linear algebra": (solved, floats(4, 4)),
    "cond": (lambda p, x: lax.cond(p, lambda x: x * 2, lambda x: x - 1, x), bools(), floats(3)),
    "switch": (lambda i, x: lax.switch(i, [jnp.sin, jnp.cos, jnp.abs], x), ints(low=-1, high=4), floats(3)),
    "select_n": (lax.select_n, ints(4, low=0, high=3), floats(4), floats(4), floats(4)),
    "scan": (written_out, floats(6, 3)),
    "loop": (carried, floats(3), floats(3)),
    "swap": (lambda a, b: lax.fori_loop(0, 5, lambda i, c: (c[1], c[0], c[2] + c[0]), (a, b, a)), floats(2), floats(2)),
    "nested loops": (nested, floats(3)),
    "while": (until, floats(3), ints(low=0)),
    "places": (looked_up, floats(4, 6), ints(low=-6, high=7), ints(low=-8, high=8), ints(3, low=-6, high=7)),
    "updates at places": (put, floats(4, 6), floats(6), ints(low=-6, high=7), ints(low=-8, high=8), ints(3, low=-6)),
    "keys": (drawn, words(2)),
    "keys that move": (moved_keys, words(2), bools(), floats()),
    "normal numbers": (normal, words(2)),
    "ends of the inverse of erf": (lax.erf_inv, special(20)),
    "sorting": (in_order, floats(3, 7), ints(3, 7, low=-2, high=3), special(9)),
    "total order": (lambda x, y: jnp.searchsorted(x, y), np.sort(floats(5)), special(9)),
    "bits": (bits, floats(4)),
    "empty arrays": (mixed_with_empty, {"a": floats(3), "b": np.zeros((LANES, 0, 2), np.float32)}),
    "constants": (lambda x: (jnp.arange(4.0), x, 1.0, jnp.ones(3) * 2, x[0]), floats(3)),
}
# What is done by `vmap`, at least in part, and the operation that is.
FALLBACKS: dict[str, tuple] = {
    "sort": (lambda x: (jnp.sort(x * 2) + 1, jnp.sin(x), jnp.sort(jnp.sort(-x) * x)), floats(66)),
    "dynamic_slice": (lambda x, i: jnp.arange(5_000.0)[i] * x[0], floats(6), ints(low=0, high=6)),
    "random_bits": (
        lambda k, x: jax.random.uniform(jax.random.wrap_key_data(k, impl="rbg"), (3,)) * 2 + x,
        *(words(4), floats(3)),
    ),
    "gather": (lambda x, i: jnp.arange(30_000.0)[jnp.array([0, 7]) + i] * x, floats(2), ints(low=0, high=9)),
    "float16": (lambda x: (x.astype(jnp.float16) * 2).astype(jnp.float32) + x, floats(3)),
    "lu": (lambda a: jnp.linalg.inv(a + 4 * jnp.eye(3)) * 2 + jnp.sin(a), floats(3, 3)),
    "lgamma": (lambda x: lax.lgamma(x) * 2, floats(4)),
    "top_k": (lambda x: lax.top_k(x * 2, 2)[0] + 1, floats(66)),
    "pure_callback": (
        lambda x: (
            jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), np.float32), x, vmap_method="sequential") + x * 2
        ),
        floats(3),
    ),
}
