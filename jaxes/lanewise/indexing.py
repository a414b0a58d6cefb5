"""Parts of arrays, at places that are known while tracing or not.

A place that is not known is looked for: the part is chosen among all that it could be, by the bits of its place, and an
update is done at every place that it could have, where its place is the one. That is as many operations as there are
places, and is done for small arrays only.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jax import lax

from jaxes.lanewise.table import Table
from jaxes.lanewise.trace import Tracer, UnsupportedError
from jaxes.support.jaxprs import closed

Rows = np.ndarray
# Choices that one operation may take, and how many of all that take more are worth a thought: in a program that does
# little else, each may only take few (benchmarks/lanewise_choices.py).
MOST_CHOICES = 1024
FEW_CHOICES = 128
MANY_CHOICES = 400
# Of arrays of constants, among which many choices need no operation.
MOST_OF_CONSTANTS = 4096


class Unknown(NamedTuple):
    """A place that is a row of the table."""

    row: int


Place = int | Unknown


def places(table: Table, rows: Rows) -> np.ndarray:
    """The places that rows stand for, an array of objects. Numbers of few bits become larger ones."""
    out = np.empty(rows.shape, object)
    for at in np.ndindex(*rows.shape):
        row = int(rows[at])
        if (value := table.values[row]) is not None:
            out[at] = int(value)
        else:
            small = table.dtypes[row].itemsize < 4
            out[at] = Unknown(table.row("convert", row, dtype=np.dtype("int32")) if small else row)
    return out


def dynamic_slice(tracer: Tracer, eqn: Any, x: Rows, *starts: Rows) -> Rows:
    return part(tracer, x, list(places(tracer.table, np.array(starts, np.int64))), eqn.params["slice_sizes"])


def dynamic_update_slice(tracer: Tracer, eqn: Any, x: Rows, update: Rows, *starts: Rows) -> Rows:
    out = x.copy()
    put(tracer, out, list(places(tracer.table, np.array(starts, np.int64))), update, clip=True)
    return out


def gather(tracer: Tracer, eqn: Any, x: Rows, at: Rows) -> Rows:
    """XLA's gather."""
    p, table = eqn.params, tracer.table
    d, sizes = p["dimension_numbers"], p["slice_sizes"]
    indices = places(table, at)
    fill = None
    if lax.GatherScatterMode.from_any(p["mode"]) == lax.GatherScatterMode.FILL_OR_DROP and x.size:
        fill = _outside(table, p.get("fill_value"), table.dtypes[int(x.reshape(-1)[0])])
    batch_shape = indices.shape[:-1]
    windows, times = np.empty((*batch_shape, *sizes), np.int64), int(np.prod(batch_shape))
    maps = (d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims)
    for where in np.ndindex(*batch_shape):
        windows[where] = part(tracer, x, _start(indices, where, x.ndim, *maps), sizes, fill, times)
    gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    kept = [k for axis, k in enumerate(sizes) if axis not in gone]
    windows = windows.reshape((*batch_shape, *kept))
    batch_dims = [axis for axis in range(windows.ndim) if axis not in d.offset_dims]
    return windows.transpose(np.argsort([*batch_dims, *d.offset_dims], kind="stable"))


def scatter(operation: str | None, tracer: Tracer, eqn: Any, x: Rows, at: Rows, updates: Rows) -> Rows:
    """XLA's scatter, updates in order; `operation` makes a new element of the old one and the update."""
    p, table = eqn.params, tracer.table
    d = p["dimension_numbers"]
    indices, out = places(table, at), x.copy()
    window_dims = d.update_window_dims
    batch_dims = [axis for axis in range(updates.ndim) if axis not in window_dims]
    gone = {*d.inserted_window_dims, *d.operand_batching_dims}
    sizes = [1] * x.ndim
    for axis, dim in zip([axis for axis in range(x.ndim) if axis not in gone], window_dims):
        sizes[axis] = updates.shape[dim]
    moved = updates.transpose([*batch_dims, *window_dims])
    clip = lax.GatherScatterMode.from_any(p["mode"]) == lax.GatherScatterMode.CLIP
    maps = (d.scatter_dims_to_operand_dims, d.operand_batching_dims, d.scatter_indices_batching_dims)
    combine = _by(tracer, p["update_jaxpr"]) if operation is None else lambda a, b: table.rows(operation, a, b)
    times = int(np.prod(indices.shape[:-1]))
    for where in np.ndindex(*indices.shape[:-1]):
        start, new = _start(indices, where, x.ndim, *maps), moved[where].reshape(sizes)
        put(tracer, out, start, new, clip=clip, combine=combine, times=times)
    return out


def _by(tracer: Tracer, update: Any) -> Callable[[Rows, Rows], Rows] | None:
    """How an update that has a function of its own makes elements of old ones; None where it takes their place."""
    if update is None:
        return None
    body = closed(update)
    if body.jaxpr.outvars[0] is body.jaxpr.invars[1]:
        return None

    def combine(old: Rows, new: Rows) -> Rows:
        pairs = zip(old.reshape(-1), new.reshape(-1))
        rows = [tracer.nested(body, [np.asarray(a), np.asarray(b)])[0].reshape(()) for a, b in pairs]
        return np.array(rows, np.int64).reshape(old.shape)

    return combine


def part(
    tracer: Tracer, x: Rows, starts: list[Place], sizes: tuple[int, ...], fill: int | None = None, times: int = 1
) -> Rows:
    """The part of an array that begins somewhere.

    Args:
        tracer: writes rows.
        x: the array.
        starts: one an axis.
        sizes: of the part.
        fill: the row that stands for what is outside; None for the nearest part that is inside.
        times: how many parts its operation takes.
    """
    table, last = tracer.table, [n - k for n, k in zip(x.shape, sizes)]
    if fill is not None and any(isinstance(s, int) and not 0 <= s <= m for s, m in zip(starts, last)):
        return np.full(sizes, fill, np.int64)
    inside = [_within(table, s, m) for s, m in zip(starts, last) if isinstance(s, Unknown)]
    left: list[tuple[int, int, int]] = []
    for axis, (start, most, size) in enumerate(zip(starts, last, sizes)):
        if isinstance(place := _clamped(table, start, most), int):
            x = _cut(x, axis, place, size)
        else:
            left.append((axis, place.row, most))
    fixed = bool(left) and all(table.values[row] is not None for row in set(x.reshape(-1).tolist()))
    for axis, row, most in sorted(left, key=lambda one: sizes[one[0]] / x.shape[one[0]]):
        _count(tracer, most * (x.size // x.shape[axis]) * sizes[axis], times, fixed)
        x = chosen(table, row, [_cut(x, axis, v, sizes[axis]) for v in range(most + 1)])
    if fill is not None:
        for known in inside:
            x = table.rows("select", np.int64(known), np.int64(fill), x)
    return x


def put(
    tracer: Tracer,
    out: Rows,
    starts: list[Place],
    new: Rows,
    *,
    clip: bool,
    combine: Callable[[Rows, Rows], Rows] | None = None,
    times: int = 1,
) -> None:
    """Update a part of an array in place; what would be outside is left out, or moved inside with `clip`."""
    table, last = tracer.table, [n - k for n, k in zip(out.shape, new.shape)]
    if clip:
        starts = [_clamped(table, s, m) for s, m in zip(starts, last)]
    if any(isinstance(s, int) and not 0 <= s <= m for s, m in zip(starts, last)):
        return
    options = [[s] if isinstance(s, int) else range(m + 1) for s, m in zip(starts, last)]
    unknown = [(axis, s) for axis, s in enumerate(starts) if isinstance(s, Unknown)]
    if unknown:
        _count(tracer, int(np.prod([len(o) for o in options])) * new.size, times)
    before = out.copy()
    for where in product(*options):
        window = tuple(slice(w, w + k) for w, k in zip(where, new.shape))
        made = new if combine is None else combine(before[window], new)
        for axis, start in unknown:
            here = table.row("eq", start.row, table.constant(where[axis], table.dtypes[start.row]))
            made = table.rows("select", np.int64(here), out[window], made)
        out[window] = made


def chosen(table: Table, number: int, cases: list[Rows]) -> Rows:
    """The case of a number, which is known to be one of them: by its lowest bit, then by the next one."""
    dtype = table.dtypes[number]
    bit = 1
    while len(cases) > 1:
        odd = table.row("ne", table.row("and", number, table.constant(bit, dtype)), table.constant(0, dtype))
        pairs = [table.rows("select", np.int64(odd), a, b) for a, b in zip(cases[::2], cases[1::2])]
        cases, bit = [*pairs, *cases[len(pairs) * 2 :]], 2 * bit
    return cases[0]


def _clamped(table: Table, start: Place, most: int) -> Place:
    if isinstance(start, int) or not most:
        return min(max(start, 0), most) if isinstance(start, int) else 0
    dtype = table.dtypes[start.row]
    at_least = table.row("max", start.row, table.constant(0, dtype))
    return Unknown(table.row("min", at_least, table.constant(most, dtype)))


def _within(table: Table, start: Unknown, most: int) -> int:
    dtype = table.dtypes[start.row]
    above = table.row("ge", start.row, table.constant(0, dtype))
    return table.row("and", above, table.row("le", start.row, table.constant(most, dtype)))


def _cut(x: Rows, axis: int, start: int, size: int) -> Rows:
    return x[(slice(None),) * axis + (slice(start, start + size),)]


def _count(tracer: Tracer, choices: int, times: int, fixed: bool = False) -> None:
    whole = choices * times
    if whole > (MOST_OF_CONSTANTS if fixed else tracer.most_choices):
        raise UnsupportedError(f"indices that are not known while tracing: {whole:,} choices")
    tracer.choices += choices if whole > FEW_CHOICES and not fixed else 0


def _outside(table: Table, fill: Any, dtype: np.dtype) -> int:
    """What JAX fills with."""
    if fill is None:
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        fill = (limits.min if dtype.kind == "i" else limits.max) if limits else dtype.kind == "b" or np.nan
    return table.constant(fill, dtype)


def _start(indices, where, rank, mapped, batching, index_batching) -> list[Place]:
    start: list[Place] = [0] * rank
    for axis, index in zip(mapped, indices[where]):
        start[axis] = index
    for axis, dim in zip(batching, index_batching):
        start[axis] = where[dim]
    return start
