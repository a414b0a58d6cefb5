"""Sorting and the largest elements, by a network: the same comparisons whatever the elements are.

Batcher 1968, "Sorting networks and their applications": the odd-even merge sort. Elements are compared as whole
numbers in their order; equal ones keep it by their places, which are carried along.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxes.lanewise.table import Table
from jaxes.lanewise.trace import Tracer, UnsupportedError

Rows = np.ndarray
# A network of n elements has about n log(n)**2 / 4 comparisons.
LONGEST = 64


def sort(tracer: Tracer, eqn: Any, *operands: Rows) -> list[Rows]:
    """Along an axis, by the first operands as keys; the others are moved with them."""
    axis, count = eqn.params["dimension"], eqn.params["num_keys"]
    if operands[0].shape[axis] < 2:
        return list(operands)
    columns = [list(np.moveaxis(x, axis, 0)) for x in operands]
    keys = [[ordered(tracer.table, x) for x in column] for column in columns[:count]]
    moved = sorted_by(tracer.table, keys, columns[count:])
    # Zeros and NaN are all alike, so that keys come back from their numbers.
    dtypes = [v.aval.dtype for v in eqn.invars[:count]]
    back = [[disordered(tracer.table, x, dtype) for x in column] for column, dtype in zip(moved, dtypes)]
    return [np.moveaxis(np.stack(column), 0, axis) for column in [*back, *moved[count:]]]


def top_k(tracer: Tracer, eqn: Any, x: Rows) -> list[Rows]:
    """The largest elements and their places, of equal ones the first."""
    table, axis, k = tracer.table, eqn.params.get("axis", -1), eqn.params["k"]
    dtype = eqn.invars[0].aval.dtype
    if not k or not x.size:
        raise UnsupportedError("the largest of none")
    columns = list(np.moveaxis(x, axis, 0))
    falling = [table.rows("not", ordered(table, column, zeros_equal=False)) for column in columns]
    places = [
        np.broadcast_to(np.int64(table.constant(i, np.dtype("int32"))), column.shape)
        for i, column in enumerate(columns)
    ]
    keys, places = sorted_by(table, [falling], [places])
    largest = [disordered(table, table.rows("not", key), dtype) for key in keys[:k]]
    return [np.moveaxis(np.stack(column), 0, axis) for column in (largest, places[:k])]


def ordered(table: Table, x: Rows, zeros_equal: bool = True) -> Rows:
    """Whole numbers in the order of some elements: NaN is the largest."""
    dtype = _dtype(table, x)
    if dtype.kind in "iu":
        return x
    if dtype.kind != "f":
        raise UnsupportedError(f"sorting of {dtype}")
    bits, constant = np.dtype(f"int{8 * dtype.itemsize}"), lambda v, d=dtype: np.int64(table.constant(v, d))
    if zeros_equal:
        x = table.rows("select", table.rows("eq", x, constant(0)), x, constant(0))
    x = table.rows("select", table.rows("ne", x, x), x, constant(np.nan))
    return _flipped(table, table.rows("bitcast", x, dtype=bits))


def disordered(table: Table, x: Rows, dtype: np.dtype) -> Rows:
    """The elements that whole numbers stand for."""
    return x if dtype.kind in "iu" else table.rows("bitcast", _flipped(table, x), dtype=dtype)


def _flipped(table: Table, x: Rows) -> Rows:
    """Bits of floating-point numbers as whole numbers in their order, and back."""
    dtype = _dtype(table, x)
    constant = lambda v: np.int64(table.constant(v, dtype))
    below = table.rows("lt", x, constant(0))
    return table.rows("select", below, x, table.rows("xor", x, constant(np.iinfo(dtype).max)))


def sorted_by(table: Table, keys: list[list[Rows]], others: list[list[Rows]]) -> list[list[Rows]]:
    """Keys and others, sorted by the keys.

    Args:
        table: where rows are written.
        keys: columns of whole numbers, the first one counts most; an array an element.
        others: columns that are moved alike.
    """
    n = len(keys[0])
    if n > LONGEST:
        raise UnsupportedError(f"sorting of {n} elements")
    alone = len(keys) == 1 and not others
    places = [np.broadcast_to(np.int64(table.constant(i, np.dtype("int32"))), x.shape) for i, x in enumerate(keys[0])]
    columns = [list(column) for column in (*keys, *others, *([] if alone else [places]))]
    for low, high in network(n):
        if alone:
            a, b = columns[0][low], columns[0][high]
            columns[0][low], columns[0][high] = table.rows("min", a, b), table.rows("max", a, b)
            continue
        swap = table.rows("gt", columns[-1][low], columns[-1][high])
        for column in reversed(columns[: len(keys)]):
            a, b = column[low], column[high]
            swap = table.rows("or", table.rows("gt", a, b), table.rows("and", table.rows("eq", a, b), swap))
        for column in columns:
            a, b = column[low], column[high]
            column[low], column[high] = table.rows("select", swap, a, b), table.rows("select", swap, b, a)
    return columns if alone else columns[:-1]


def network(n: int) -> Iterator[tuple[int, int]]:
    """Pairs of places to compare and exchange, one after the other.

    >>> list(network(4))
    [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)]
    """
    p = 1
    while p < n:
        k = p
        while k:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        yield i + j, i + j + k
            k //= 2
        p *= 2


def _dtype(table: Table, x: Rows) -> np.dtype:
    return table.dtypes[int(x.reshape(-1)[0])] if x.size else np.dtype("int32")
