"""Rules: what an operation makes of a parameter of low rank, by its factors alone.

A rule takes the operands, at least one of them a `LowRank`, and the parameters of the primitive. It returns the result,
arrays or `LowRank`s, or None where the algebra does not allow it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.lowrank.leaf import LowRank, dense, is_low_rank

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}  # by the name of the operation


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations, by their names; those that this version of JAX does not have never occur."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


@rule("dot_general")
def _dot_general(lhs, rhs, *, dimension_numbers, precision=None, preferred_element_type=None, **_):
    """`x W + scale (x A) B`: a product with the shared matrix, and two thin ones with the member's own factors."""
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = dimension_numbers
    if is_low_rank(lhs) and is_low_rank(rhs):
        rhs = dense(rhs)
    second = is_low_rank(rhs)
    m, summed, batch = (rhs, rhs_sum, rhs_batch) if second else (lhs, lhs_sum, lhs_batch)
    x, x_summed, x_batch = (lhs, lhs_sum, lhs_batch) if second else (rhs, rhs_sum, rhs_batch)
    stack, left, right = m.sides
    if set(batch) != set(stack) or set(summed) not in (set(left), set(right)):
        return None
    side = left if set(summed) == set(left) else right
    near, far = (m.a, m.b) if side is left else (m.b, m.a)
    in_near = tuple(m.stack + 1 + d - side[0] for d in summed)
    how = {"precision": precision, "preferred_element_type": preferred_element_type}
    near, far = (factor.astype(x.dtype) for factor in (near, far))
    w, kind = _matrix(m, x), preferred_element_type or x.dtype
    wide = how if m.unit is None else {**how, "preferred_element_type": m.unit.dtype}
    out = lax.dot_general(*((x, w) if second else (w, x)), dimension_numbers, **wide)
    out = out if m.unit is None else m.worth(out, kind)
    thin = _onto(near, x, in_near, x_summed, batch, x_batch, how)  # [batch, free axes of x, rank]
    correction = _back(thin, far, m.scale, batch, how)  # [batch, free axes of x, far side]
    if not second:  # its free axes come first
        free = tuple(range(len(batch), thin.ndim - 1))
        correction = jnp.moveaxis(correction, free, tuple(d + far.ndim - 1 - m.stack for d in free))
    return lax.add(out, lax.convert_element_type(correction, out.dtype))


def _matrix(m, x):
    """The shared matrix, as it is multiplied with `x`."""
    return m.w if m.unit is None else m.w.astype(x.dtype)


def _onto(near, x, summed, x_summed, batch, x_batch, how):
    """The sum over one side: [batch, free axes of x, rank]."""
    whole = tuple(range(x.ndim))
    if not batch and near.shape[0] == 1 and tuple(x_summed) == whole and tuple(summed) == tuple(range(1, near.ndim)):
        # For one input of one member a dot product, which a compiler does not merge with what stands around it. Not for
        # many inputs, which members may share: XLA:CPU (jax 0.10.2) computes sums over products of two broadcasts
        # wrongly where another such product follows.
        kind = how["preferred_element_type"] or x.dtype
        wide = lax.squeeze(near, (0,))
        terms = lax.convert_element_type(lax.mul(x, wide), kind)
        total = lax.reduce(terms, np.zeros((), kind), lax.add, whole)
        return lax.expand_dims(total, (total.ndim,))
    return lax.dot_general(x, near, ((tuple(x_summed), tuple(summed)), (tuple(x_batch), tuple(batch))), **how)


def _back(thin, far, scale, batch, how):
    """From the rank to the other side: [batch, free axes of x, far side]."""
    by = lax.broadcast_in_dim(jnp.asarray(scale, thin.dtype), thin.shape, ())
    thin = lax.convert_element_type(lax.mul(thin, by), far.dtype)
    if not batch and far.shape[0] == 1:
        shape = (*thin.shape[:-1], *far.shape[1:])
        kind = how["preferred_element_type"] or far.dtype
        along = lax.broadcast_in_dim(lax.squeeze(thin, (thin.ndim - 1,)), shape, tuple(range(thin.ndim - 1)))
        across = lax.broadcast_in_dim(lax.squeeze(far, (0,)), shape, tuple(range(thin.ndim - 1, len(shape))))
        return lax.convert_element_type(lax.mul(along, across), kind)
    batches = (tuple(range(len(batch))), tuple(batch))
    return lax.dot_general(thin, far, (((thin.ndim - 1,), (len(batch),)), batches), **how)


@rule("conv_general_dilated")
def _convolution(x, m, *, dimension_numbers, feature_group_count, batch_group_count, **how):
    """A convolution to `rank` channels, and a product with the right factors at each point."""
    channels = dimension_numbers.rhs_spec[0]
    if not is_low_rank(m) or is_low_rank(x) or batch_group_count != 1:
        return None
    if m.stack or channels != m.ndim - 1 or m.left != m.ndim - 1:
        return None
    convolve = functools.partial(
        lax.conv_general_dilated_p.bind,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=1,
        **how,
    )
    groups, rank = feature_group_count, m.a.shape[0]
    kernel = jnp.moveaxis(m.a, 0, -1).astype(x.dtype)
    out = convolve(x, _matrix(m, x))
    out = out if m.unit is None else m.worth(out, out.dtype)
    thin = convolve(x, jnp.concatenate([kernel] * groups, axis=-1) if groups > 1 else kernel)
    at = dimension_numbers.out_spec[1]
    thin = jnp.moveaxis(thin, at, -1)
    thin = (thin * jnp.asarray(m.scale, thin.dtype)).reshape(*thin.shape[:-1], groups, rank)
    back = m.b.reshape(rank, groups, -1).astype(thin.dtype)
    wide = jnp.einsum("...gr,rgo->...go", thin, back, precision=how.get("precision"))
    wide = wide.reshape(*thin.shape[:-2], -1)
    return out + jnp.moveaxis(wide, -1, at).astype(out.dtype)


@rule("gather")
def _rows(m, indices, *, dimension_numbers, slice_sizes, **how):
    """An embedding: rows of the shared matrix, and the same rows of the member's left factors times the right ones."""
    d = dimension_numbers
    if not is_low_rank(m) or is_low_rank(indices) or m.stack or m.left != 1:
        return None
    width = m.ndim - 1
    first = indices.ndim - 1
    if tuple(slice_sizes) != (1, *m.shape[1:]) or tuple(d.collapsed_slice_dims) != (0,) or d.operand_batching_dims:
        return None
    if tuple(d.start_index_map) != (0,) or tuple(d.offset_dims) != tuple(range(first, first + width)):
        return None
    # Whole numbers know no NaN to fill in where an index is out of bounds; the factors' part has it.
    of_matrix = how if m.unit is None else {**how, "fill_value": 0}
    rows = lax.gather_p.bind(m.w, indices, dimension_numbers=d, slice_sizes=slice_sizes, **of_matrix)
    rows = m.worth(rows, m.dtype)
    thin_numbers = lax.GatherDimensionNumbers((first,), (0,), (0,))
    columns = m.a.T.astype(m.dtype)
    thin = lax.gather_p.bind(columns, indices, dimension_numbers=thin_numbers, slice_sizes=(1, m.a.shape[0]), **how)
    plain = {"precision": lax.Precision.HIGHEST, "preferred_element_type": None}  # looking up rounds nothing
    return rows + _back(thin, m.b.astype(m.dtype), m.scale, (), plain).astype(rows.dtype)


@rule("convert_element_type")
def _cast(m, *, new_dtype, **_):
    if not jnp.issubdtype(new_dtype, jnp.floating):
        return None
    cast = lambda x: lax.convert_element_type(x, new_dtype)
    signs = jnp.issubdtype(m.a.dtype, jnp.integer)  # exact as they are
    w = cast(m.w) if m.unit is None else m.w
    return replace(m, w=w, like=new_dtype, a=m.a if signs else cast(m.a), b=m.b if signs else cast(m.b))


@rule("copy", "optimization_barrier", "sharding_constraint")
def _same(*operands, **_):
    return operands[0] if len(operands) == 1 else list(operands)


@rule("neg")
def _negative(m, **_):
    return _scaled(m, -1.0)


@rule("mul")
def _product(x, y, **_):
    """The product with a number scales both the matrix and the perturbation."""
    m, number = (x, y) if is_low_rank(x) else (y, x)
    if is_low_rank(number) or jnp.ndim(number):
        return None
    return _scaled(m, number)


def _scaled(m, number):
    times = lambda x: x * jnp.asarray(number, jnp.result_type(x))
    base = {"w": times(m.w)} if m.unit is None else {"unit": times(m.unit)}
    return replace(m, scale=times(m.scale), **base)


@rule("transpose")
def _transpose(m, *, permutation):
    """Whole sides may change places, and axes within a side."""
    stack, left, right = (set(side) for side in m.sides)
    first, middle, last = (set(part) for part in _cut(permutation, (len(stack), len(left), len(right))))
    if first != stack:
        return None
    if (middle, last) == (left, right):
        a, b, count = m.a, m.b, len(left)
    else:
        first, middle, last = (set(part) for part in _cut(permutation, (len(stack), len(right), len(left))))
        if (middle, last) != (right, left):
            return None
        a, b, count = m.b, m.a, len(right)
    k = m.stack
    lead = (*permutation[:k], k)
    to = lambda part, factor: lax.transpose(factor, (*lead, *_ranks(part, k + 1)))
    a, b = to(permutation[k : k + count], a), to(permutation[k + count :], b)
    return replace(m, w=lax.transpose(m.w, permutation), a=a, b=b, left=count)


def _ranks(axes: Sequence[int], start: int) -> tuple[int, ...]:
    """The axes of one side, counted from `start`."""
    low = min(axes, default=0)
    return tuple(d - low + start for d in axes)


def _cut(axes: Sequence[int], sizes: Sequence[int]) -> list[Sequence[int]]:
    parts, start = [], 0
    for size in sizes:
        parts.append(axes[start : start + size])
        start += size
    return parts


@rule("reshape")
def _reshape(m, *, new_sizes, dimensions=None, **_):
    """A new shape, if no axis of the result is made of both sides."""
    if dimensions is not None:
        return None
    parts, start = [], 0
    for side in m.sides:
        size, end = math.prod(m.shape[d] for d in side), start
        while math.prod(new_sizes[start:end]) < size and end < len(new_sizes):
            end += 1
        if side is m.sides[2]:
            end = len(new_sizes)
        if math.prod(new_sizes[start:end]) != size:
            return None
        parts.append(tuple(new_sizes[start:end]))
        start = end
    stack, left, right = parts
    if not left or not right:
        return None
    rank = m.a.shape[m.stack]
    a, b = m.a.reshape(*stack, rank, *left), m.b.reshape(*stack, rank, *right)
    return replace(m, w=m.w.reshape(new_sizes), a=a, b=b, stack=len(stack), left=len(left))


@rule("squeeze")
def _squeeze(m, *, dimensions):
    """Axes of size one are dropped, unless that would leave a side without axes."""
    keep = [[d for d in side if d not in dimensions] for side in m.sides]
    if not keep[1] or not keep[2]:
        return None
    sizes = tuple(m.shape[d] for d in range(m.ndim) if d not in dimensions)
    return _reshape(m, new_sizes=sizes)


@rule("broadcast_in_dim")
def _broadcast(m, *operands, shape, broadcast_dimensions, **_):
    """New axes of size one only."""
    kept = tuple(shape[d] for d in broadcast_dimensions)
    if operands or kept != m.shape or math.prod(shape) != math.prod(kept):
        return None
    return _reshape(m, new_sizes=tuple(shape))


@rule("slice")
def _slice(m, *, start_indices, limit_indices, strides=None):
    strides = strides or (1,) * m.ndim
    where = tuple(slice(*part) for part in zip(start_indices, limit_indices, strides, strict=True))
    return _sides(m, lambda x, axes: x[tuple(where[d] if d is not None else slice(None) for d in axes)])


@rule("dynamic_slice")
def _dynamic_slice(m, *starts, slice_sizes, **_):
    if any(map(is_low_rank, starts)):
        return None

    def part(x, axes):
        zero = jnp.zeros((), jnp.result_type(starts[0]))
        start = [zero if d is None else starts[d] for d in axes]
        sizes = [x.shape[i] if d is None else slice_sizes[d] for i, d in enumerate(axes)]
        return lax.dynamic_slice(x, start, sizes)

    return _sides(m, part)


@rule("split")
def _split(m, *, sizes, axis):
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    whole = lambda start, end: [(start if d == axis else 0, end if d == axis else n) for d, n in enumerate(m.shape)]
    bounds = [whole(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return [_slice(m, start_indices=[x for x, _ in b], limit_indices=[y for _, y in b]) for b in bounds]


@rule("unstack")
def _unstack(m, *, axis):
    """All entries along an axis: each is a slice without this axis."""
    bounds = lambda i, d: (i, i + 1) if d == axis else (0, m.shape[d])
    parts = [[bounds(i, d) for d in range(m.ndim)] for i in range(m.shape[axis])]
    slices = [_slice(m, start_indices=[x for x, _ in p], limit_indices=[y for _, y in p]) for p in parts]
    outs = [_squeeze(x, dimensions=(axis,)) for x in slices]
    return None if any(x is None for x in outs) else outs


def _sides(m: LowRank, take: Callable[[jax.Array, Sequence[int | None]], jax.Array]) -> LowRank:
    """`take(array, axes)` of all three arrays; the axes are numbered as in `w`, and None is the rank."""
    stack, left, right = m.sides
    w = take(m.w, range(m.ndim))
    return replace(m, w=w, a=take(m.a, (*stack, None, *left)), b=take(m.b, (*stack, None, *right)))
