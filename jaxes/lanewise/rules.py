"""What an operation of JAX becomes, element by element.

A rule takes the tracer, the equation, and a value (an array of row numbers) for every operand.
"""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxes.lanewise import indexing, keys, products, sorting
from jaxes.lanewise.loops import cond, scan, while_
from jaxes.lanewise.table import BOOL
from jaxes.lanewise.trace import Rule, Tracer, UnsupportedError
from jaxes.support.jaxprs import closed

Rows = np.ndarray

# Operations of JAX and the operation of the table that is the same, element by element.
SAME = {
    **{name: name for name in ("add", "sub", "mul", "div", "rem", "max", "min", "neg", "sign", "abs", "pow", "atan2")},
    **{name: name for name in ("exp", "exp2", "expm1", "log", "log1p", "sqrt", "cbrt", "sin", "cos", "tan")},
    **{name: name for name in ("asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    **{
        name: name
        for name in ("erf", "erfc", "floor", "ceil", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not")
    },
    "add_any": "add",
    "is_finite": "is_finite",
    "shift_left": "shl",
    "shift_right_logical": "srl",
    "shift_right_arithmetic": "sra",
}

# Multiplications by constants that a product of matrices may have: beyond, `vmap` has one large product for all lanes.
MOST_CONSTANTS = 2_000
ERF_INV_NEAR = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
ERF_INV_FAR = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def same(tracer: Tracer, eqn: Any, *operands: Rows) -> Rows:
    out = eqn.outvars[0].aval
    operation = SAME[eqn.primitive.name]
    if operation == "pow" and eqn.invars[1].aval.dtype.kind != "f":
        if out.dtype.kind != "f":
            raise UnsupportedError("a power of integers")
        operands = (operands[0], tracer.table.rows("convert", operands[1], dtype=out.dtype))
    rows = tracer.table.rows(operation, *operands)
    return np.broadcast_to(rows, out.shape)


def of_one(build):
    """A rule from a function of a table and rows of one element."""

    def rule(tracer: Tracer, eqn: Any, *operands: Rows) -> Rows:
        arrays = np.broadcast_arrays(*operands)
        out = [build(tracer.table, eqn, *column) for column in zip(*(a.reshape(-1).tolist() for a in arrays))]
        return np.array(out, np.int64).reshape(eqn.outvars[0].aval.shape)

    return rule


def _square(table, eqn, x):
    return table.row("mul", x, x)


def _integer_pow(table, eqn, x):
    y = eqn.params["y"]
    dtype = table.dtypes[x]
    if y < 0 and dtype.kind != "f":
        raise UnsupportedError("a negative power of an integer")
    out, power, left = None, x, abs(y)
    while left:
        if left & 1:
            out = power if out is None else table.row("mul", out, power)
        left >>= 1
        power = table.row("mul", power, power) if left else power
    out = table.constant(1, dtype) if out is None else out
    return table.row("div", table.constant(1, dtype), out) if y < 0 else out


def _rsqrt(table, eqn, x):
    return table.row("div", table.constant(1, table.dtypes[x]), table.row("sqrt", x))


def _logistic(table, eqn, x):
    one = table.constant(1, table.dtypes[x])
    return table.row("div", one, table.row("add", one, table.row("exp", table.row("neg", x))))


def _population_count(table, eqn, x):
    """Sums of neighboring bits, of pairs, of fours; a product then adds up all bytes in the highest one."""
    dtype = table.dtypes[x]
    size = dtype.itemsize
    row = table.row
    constant = lambda value: table.constant(np.array(value, np.uint64).astype(dtype), dtype)
    of_bytes = lambda byte: constant(int.from_bytes(bytes([byte] * size), "little"))
    above = lambda x, bits: row("srl", x, constant(bits))
    x = row("sub", x, row("and", above(x, 1), of_bytes(0x55)))
    x = row("add", row("and", x, of_bytes(0x33)), row("and", above(x, 2), of_bytes(0x33)))
    x = row("and", row("add", x, above(x, 4)), of_bytes(0x0F))
    return above(row("mul", x, of_bytes(1)), 8 * size - 8) if size > 1 else x


def _clz(table, eqn, x):
    """All bits below the first one set, and those that are not counted."""
    dtype = table.dtypes[x]
    shift = 1
    while shift < 8 * dtype.itemsize:
        x = table.row("or", x, table.row("srl", x, table.constant(shift, dtype)))
        shift *= 2
    return _population_count(table, eqn, table.row("not", x))


def _in_total_order(operation):
    """A comparison of all numbers: -NaN, -inf, ..., -0, 0, ..., inf, NaN. Ints have their order."""

    def build(table, eqn, x, y):
        dtype = table.dtypes[x]
        if dtype.kind == "f":
            bits = np.dtype(f"int{8 * dtype.itemsize}")
            zero, most = table.constant(0, bits), table.constant(np.iinfo(bits).max, bits)
            whole = [table.row("bitcast", z, dtype=bits) for z in (x, y)]
            x, y = (table.row("select", table.row("lt", z, zero), z, table.row("xor", z, most)) for z in whole)
        return table.row(operation, x, y)

    return build


def _clamp(table, eqn, low, x, high):
    return table.row("min", table.row("max", low, x), high)


def _erf_inv(table, eqn, x):
    """Giles 2010, "Approximating the erfinv function", in single precision."""
    dtype = table.dtypes[x]
    if dtype != np.float32:
        raise UnsupportedError("another dtype than float32")
    constant = lambda value: table.constant(value, dtype)
    row = table.row
    one = constant(1)
    w = row("neg", row("log", row("mul", row("sub", one, x), row("add", one, x))))
    near = row("lt", w, constant(5))
    z = row("select", near, row("sub", row("sqrt", w), constant(3)), row("sub", w, constant(2.5)))
    pairs = iter(zip(ERF_INV_NEAR, ERF_INV_FAR))
    coefficient = lambda pair: row("select", near, constant(pair[1]), constant(pair[0]))
    p = coefficient(next(pairs))
    for pair in pairs:
        p = row("add", row("mul", p, z), coefficient(pair))
    at_end = row("eq", row("abs", x), one)
    return row("select", at_end, row("mul", p, x), row("mul", x, constant(np.inf)))


def _convert(table, eqn, x):
    return table.row("convert", x, dtype=eqn.outvars[0].aval.dtype)


def _bitcast(table, eqn, x):
    dtype = eqn.outvars[0].aval.dtype
    if dtype.itemsize != table.dtypes[x].itemsize:
        raise UnsupportedError("bits of another width")
    return table.row("bitcast", x, dtype=dtype)


def _round(table, eqn, x):
    if eqn.params["rounding_method"].name == "TO_NEAREST_EVEN":
        return table.row("round", x)
    row, constant = table.row, lambda value: table.constant(value, table.dtypes[x])
    size = row("abs", x)
    whole = row("floor", size)
    half = row("ge", row("sub", size, whole), constant(0.5))
    away = row("select", half, whole, row("add", whole, constant(1)))
    return row("select", row("lt", x, constant(0)), away, row("neg", away))


def select_n(tracer: Tracer, eqn: Any, which: Rows, *cases: Rows) -> Rows:
    table = tracer.table
    if eqn.invars[0].aval.dtype == BOOL:
        return np.broadcast_to(table.rows("select", which, *cases), eqn.outvars[0].aval.shape)
    return chosen(tracer, which, list(cases), eqn.outvars[0].aval.shape)


def chosen(tracer: Tracer, which: Rows, cases: list[Rows], shape: tuple[int, ...]) -> Rows:
    """The case of a number; the first below 0, the last beyond the end."""
    table = tracer.table
    out = cases[0]
    for number, case in enumerate(cases[1:], 1):
        limit = table.constant(number, table.dtypes[int(which.reshape(-1)[0])])
        out = table.rows("select", table.rows("ge", which, np.int64(limit)), out, case)
    return np.broadcast_to(out, shape)


def iota(tracer: Tracer, eqn: Any) -> Rows:
    aval, axis = eqn.outvars[0].aval, eqn.params["dimension"]
    along = np.arange(aval.shape[axis]).reshape([-1 if d == axis else 1 for d in range(len(aval.shape))])
    return tracer.table.constants(np.broadcast_to(along, aval.shape).astype(aval.dtype))


def reduce(operation: str, tracer: Tracer, eqn: Any, x: Rows) -> Rows:
    axes = tuple(eqn.params["axes"])
    kept = [d for d in range(x.ndim) if d not in axes]
    shape = tuple(x.shape[d] for d in kept)
    columns = x.transpose([*axes, *kept]).reshape(-1, *shape)
    if not len(columns):
        return np.broadcast_to(np.int64(_neutral(tracer, operation, eqn.outvars[0].aval.dtype)), shape)
    out = columns[0]
    for column in columns[1:]:
        out = tracer.table.rows(operation, out, column)
    return out


def reduce_by(tracer: Tracer, eqn: Any, *operands: Rows) -> list[Rows]:
    """A reduction by a function of the program's own, of one array or of several at once."""
    count = len(operands) // 2
    body, axes = closed(eqn.params["jaxpr"]), tuple(eqn.params["dimensions"])
    arrays, outs = operands[:count], []
    kept = [d for d in range(arrays[0].ndim) if d not in axes]
    shape = tuple(arrays[0].shape[d] for d in kept)
    columns = [x.transpose([*axes, *kept]).reshape(-1, int(np.prod(shape))) for x in arrays]
    for place in range(int(np.prod(shape))):
        values = [np.asarray(x.reshape(-1)[0]) for x in operands[count:]]
        for turn in range(len(columns[0])):
            values = tracer.nested(body, [*values, *(np.asarray(x[turn, place]) for x in columns)])
        outs.append(values)
    of = lambda k: np.array([values[k] for values in outs], np.int64).reshape(shape)
    return [of(k) for k in range(count)]


def _neutral(tracer: Tracer, operation: str, dtype: np.dtype) -> int:
    if operation in ("max", "min"):
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        ends = (limits.min, limits.max) if limits else (False, True) if dtype == BOOL else (-np.inf, np.inf)
        return tracer.table.constant(ends[operation == "min"], dtype)
    return tracer.table.constant(
        {"add": 0, "mul": 1, "and": -1 if dtype != BOOL else True, "or": 0, "xor": 0}[operation], dtype
    )


def arg_extreme(comparison: str, tracer: Tracer, eqn: Any, x: Rows) -> Rows:
    """The first place of the largest or smallest element; a NaN is more than everything."""
    table, out = tracer.table, eqn.outvars[0].aval
    columns = np.moveaxis(x, eqn.params["axes"][0], 0)
    if not len(columns):
        raise UnsupportedError("the place of no element")
    best = columns[0]
    at = np.broadcast_to(np.int64(table.constant(0, out.dtype)), best.shape)
    for place, column in enumerate(columns[1:], 1):
        better = table.rows(comparison, column, best)
        if eqn.invars[0].aval.dtype.kind == "f":
            nan = table.rows("and", table.rows("ne", column, column), table.rows("eq", best, best))
            better = table.rows("or", better, nan)
            better = table.rows("and", better, table.rows("eq", best, best))
        best = table.rows("select", better, best, column)
        at = table.rows("select", better, at, np.int64(table.constant(place, out.dtype)))
    return at


def cumulative(operation: str, tracer: Tracer, eqn: Any, x: Rows) -> Rows:
    axis = eqn.params["axis"]
    x = np.moveaxis(x, axis, 0)
    x = x[::-1] if eqn.params["reverse"] else x
    out = list(x[:1])
    for column in x[1:]:
        out.append(tracer.table.rows(operation, out[-1], column))
    stacked = np.stack(out) if out else x
    return np.moveaxis(stacked[::-1] if eqn.params["reverse"] else stacked, 0, axis)


def dot_general(tracer: Tracer, eqn: Any, a: Rows, b: Rows) -> Rows:
    (left, right), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    out = eqn.outvars[0].aval
    a, b = (tracer.table.rows("convert", x, dtype=out.dtype) for x in (a, b))
    free = lambda x, *used: [d for d in range(x.ndim) if d not in {i for dims in used for i in dims}]
    left_free, right_free = free(a, left, left_batch), free(b, right, right_batch)
    batch = [a.shape[d] for d in left_batch]
    inner = int(np.prod([a.shape[d] for d in left]))
    a = a.transpose([*left_batch, *left_free, *left]).reshape(*batch, -1, 1, inner) if a.size else a
    b = b.transpose([*right_batch, *right_free, *right]).reshape(*batch, 1, -1, inner) if b.size else b
    if not inner or not a.size or not b.size:
        return np.broadcast_to(np.int64(tracer.table.constant(0, out.dtype)), out.shape)
    if not batch and tracer.platform == "cpu":
        found = products.found(tracer.table, tracer.starts, a[:, 0], b[0].T)
        if found is not None:
            return found.reshape(out.shape)
    if not tracer.inside and not batch and (count := _constants(tracer, a, b)) > MOST_CONSTANTS:
        raise UnsupportedError(f"a product with {count:,} constants")
    terms = [tracer.table.rows("mul", a[..., k], b[..., k]) for k in range(inner)]
    total = terms[0]
    for product in terms[1:]:
        total = tracer.table.rows("add", total, product)
    return total.reshape(out.shape)


def _constants(tracer: Tracer, a: Rows, b: Rows) -> int:
    """Multiplications by constants other than 0, where one of the factors is known; a: [m, 1, k], b: [1, n, k]."""
    counts = [0]
    for x, others in ((a, b.shape[1]), (b, a.shape[0])):
        values = [tracer.table.values[row] for row in x.reshape(-1).tolist()]
        if all(value is not None for value in values):
            counts.append(others * sum(value != 0 for value in values))
    return max(counts)


def cholesky(tracer: Tracer, eqn: Any, a: Rows) -> Rows:
    """Row by row (Cholesky-Banachiewicz), of the lower triangle; NaN if the matrix is not positive definite."""
    rows, dtype = tracer.table.rows, eqn.outvars[0].aval.dtype
    n = a.shape[-1]
    zero = np.int64(tracer.table.constant(0, dtype))
    out = np.full(a.shape, zero)
    definite = np.full(a.shape[:-2], tracer.table.constant(True, np.dtype(bool)))
    for i in range(n):
        for j in range(i + 1):
            rest = a[..., i, j]
            for k in range(j):
                rest = rows("sub", rest, rows("mul", out[..., i, k], out[..., j, k]))
            if i == j:
                definite = rows("and", definite, rows("gt", rest, zero))
            out[..., i, j] = rows("sqrt", rest) if i == j else rows("div", rest, out[..., j, j])
    nan = np.int64(tracer.table.constant(np.nan, dtype))
    return rows("select", definite[..., None, None], nan, out)


def triangular_solve(tracer: Tracer, eqn: Any, a: Rows, b: Rows) -> Rows:
    """Solve a x = b or x a = b by substitution."""
    p, rows = eqn.params, tracer.table.rows
    lower = p["lower"]
    if p["transpose_a"]:
        a, lower = np.swapaxes(a, -1, -2), not lower
    if not p["left_side"]:  # x a = b is a' x' = b'
        a, b, lower = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), not lower
    n = a.shape[-1]
    x = b.copy()
    order = range(n) if lower else range(n - 1, -1, -1)
    for i in order:
        rest = x[..., i, :]
        for k in range(i) if lower else range(n - 1, i, -1):
            rest = rows("sub", rest, rows("mul", a[..., i, k, None], x[..., k, :]))
        x[..., i, :] = rest if p["unit_diagonal"] else rows("div", rest, a[..., i, i, None])
    return x if p["left_side"] else np.swapaxes(x, -1, -2)


def platform_index(tracer: Tracer, eqn: Any) -> Rows:
    """Which branch of `lax.platform_dependent` is taken."""
    platforms = eqn.params["platforms"]
    at = next((i for i, names in enumerate(platforms) if names is None or tracer.platform in names), len(platforms) - 1)
    return tracer.table.constants(np.asarray(at, np.int32))


def custom_linear_solve(tracer: Tracer, eqn: Any, *operands: Rows) -> list[Any]:
    """The solution by the program's own solver; its other functions are for derivatives."""
    try:
        lengths, solve = eqn.params["const_lengths"], closed(eqn.params["jaxprs"].solve)
        start = lengths.matvec + lengths.vecmat
        constants = operands[start : start + lengths.solve]
    except (AttributeError, KeyError, TypeError) as error:
        raise UnsupportedError("no rule for custom_linear_solve") from error
    return tracer.inner(solve, [*constants, *operands[sum(lengths) :]])


def of_jax(tracer: Tracer, eqn: Any, *operands: Rows) -> list[Any]:
    """What newer versions of JAX write as one operation and can take apart (`searchsorted`)."""
    primitive: Any = eqn.params.get("_prim")
    try:
        expand = lambda *leaves: primitive.expand(*jax.tree.unflatten(primitive.in_tree, leaves))
        inner = jax.make_jaxpr(expand)(*(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars))
    except (AttributeError, TypeError) as error:
        raise UnsupportedError(f"no rule for {eqn.primitive.name}") from error
    return tracer.inner(inner, list(operands))


RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME, same),
    "square": of_one(_square),
    "integer_pow": of_one(_integer_pow),
    "rsqrt": of_one(_rsqrt),
    "logistic": of_one(_logistic),
    "population_count": of_one(_population_count),
    "clz": of_one(_clz),
    "le_to": of_one(_in_total_order("le")),
    "lt_to": of_one(_in_total_order("lt")),
    "erf_inv": of_one(_erf_inv),
    "clamp": of_one(_clamp),
    "convert_element_type": of_one(_convert),
    "bitcast_convert_type": of_one(_bitcast),
    "round": of_one(_round),
    "select_n": select_n,
    "iota": iota,
    "reduce_sum": partial(reduce, "add"),
    "reduce_prod": partial(reduce, "mul"),
    "reduce_max": partial(reduce, "max"),
    "reduce_min": partial(reduce, "min"),
    "reduce_and": partial(reduce, "and"),
    "reduce_or": partial(reduce, "or"),
    "reduce_xor": partial(reduce, "xor"),
    "reduce": reduce_by,
    "argmax": partial(arg_extreme, "gt"),
    "argmin": partial(arg_extreme, "lt"),
    "cumsum": partial(cumulative, "add"),
    "cumprod": partial(cumulative, "mul"),
    "cummax": partial(cumulative, "max"),
    "cummin": partial(cumulative, "min"),
    "dot_general": dot_general,
    "gather": indexing.gather,
    "dynamic_slice": indexing.dynamic_slice,
    "dynamic_update_slice": indexing.dynamic_update_slice,
    "scatter": partial(indexing.scatter, None),
    "scatter-add": partial(indexing.scatter, "add"),
    "scatter-mul": partial(indexing.scatter, "mul"),
    "scatter-min": partial(indexing.scatter, "min"),
    "scatter-max": partial(indexing.scatter, "max"),
    "scatter_add": partial(indexing.scatter, "add"),
    "scatter-sub": partial(indexing.scatter, "sub"),
    **keys.RULES,
    "sort": sorting.sort,
    "top_k": sorting.top_k,
    "cholesky": cholesky,
    "triangular_solve": triangular_solve,
    "custom_linear_solve": custom_linear_solve,
    "call_hi_primitive": of_jax,
    "platform_index": platform_index,
    "scan": scan,
    "while": while_,
    "cond": cond,
}
