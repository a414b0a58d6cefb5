"""A program for one lane as a table of operations on single elements, folded and shared as it is written.

A row is an operation, its operands (numbers of earlier rows) and a dtype; a value of the program that is traced is a
NumPy array of row numbers. Writing a row that is there already gives the old number, so equal expressions are shared;
operations of constants are done at once; and identities such as `x * 1` write nothing.

Folding keeps what IEEE 754 promises of NaN and infinity: `0 * x` is `0` only where `x` is known to be finite. The sign
of zero is not kept (`x + 0` is `x`), as XLA does not keep it either. A table that is `finite` takes every number for
finite.

A loop is a region. Its rows are those that depend on what it carries; all others are written outside, whatever the
place where they were traced.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxes.lanewise.constants import evaluated

COMMUTATIVE = frozenset({"add", "mul", "max", "min", "and", "or", "xor", "eq", "ne"})
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
BOOL = np.dtype(bool)


class Loop(NamedTuple):
    """A loop whose length is known (`condition` is None), or that goes on while a lane's condition holds."""

    region: int
    parent: int
    length: int | None
    condition: int | None  # row, inside
    carries: tuple[int, ...]  # rows "carried"
    starts: tuple[int, ...]  # rows outside, one a carry
    nexts: tuple[int, ...]  # rows inside, one a carry


class Matrix(NamedTuple):
    """A part of an array that comes from outside: [lines, columns], where columns are neighbors in memory."""

    first: int  # row of its first number; the other numbers of the array are the rows around it
    stride: int  # rows from line to line
    lines: int
    columns: int


class Table:
    """Rows of operations.

    Args:
        finite: take every number for finite when folding.

    >>> import numpy as np
    >>> table = Table()
    >>> x = table.input(np.dtype("float32"), stage=0)
    >>> two = table.constant(2, np.dtype("float32"))
    >>> table.row("mul", x, two) == table.row("mul", two, x)
    True
    >>> table.row("sub", table.row("add", two, two), table.constant(4, np.dtype("float32"))) == table.constant(
    ...     0, np.dtype("float32")
    ... )
    True
    """

    def __init__(self, finite: bool = False):
        self.finite = finite
        self.operations: list[str] = []
        self.operands: list[tuple[int, ...]] = []
        self.dtypes: list[np.dtype] = []
        self.values: list[np.generic | None] = []  # of constants
        self.regions: list[int] = []
        self.stages: list[int] = []
        self.finites: list[bool] = []
        self.loops: dict[int, Loop] = {}  # by the row "loop"
        self.loop_of: dict[int, Loop] = {}  # by the region
        self.products: dict[int, Matrix] = {}  # by the row "product"
        self.depths = [0]  # of regions
        self.parents = [0]
        self.assumed: list[int] = []  # rows that have been taken for finite; whoever reads them, empties it
        self._known: dict[tuple, int] = {}
        self._relied: dict[tuple, list[int]] = {}  # on which rows being finite a folded operation relies

    def __len__(self) -> int:
        return len(self.operations)

    # Writing.

    def constant(self, value, dtype: np.dtype) -> int:
        """The row of a constant."""
        value = np.asarray(value).astype(dtype)[()]
        key = ("constant", dtype.char, value.tobytes())
        if (known := self._known.get(key)) is None:
            known = self._known[key] = self._write("constant", (), dtype, value=value)
            self.finites[known] = bool(np.isfinite(value))
        return known

    def constants(self, array: np.ndarray) -> np.ndarray:
        """Rows of the elements of an array."""
        array = np.asarray(array)
        if not array.size:
            return np.zeros(array.shape, np.int64)
        bits = array.reshape(-1).view(f"u{array.itemsize}") if array.dtype != BOOL else array.reshape(-1)
        different, inverse = np.unique(bits, return_inverse=True)
        values = different.view(array.dtype) if array.dtype != BOOL else different
        rows = np.array([self.constant(value, array.dtype) for value in values], np.int64)
        return rows[inverse].reshape(array.shape)

    def input(self, dtype: np.dtype, stage: int, region: int = 0) -> int:
        """A new row that is given from outside, at the beginning of a stage."""
        row = self._write("input", (), dtype)
        self.stages[row], self.regions[row] = stage, region
        return row

    def row(self, operation: str, *operands: int, dtype: np.dtype | None = None) -> int:
        """The row of an operation; `dtype` is its result's, where it is not the last operand's."""
        if operation in COMMUTATIVE and operands[0] > operands[1]:
            operands = (operands[1], operands[0])
        key = (operation, operands, None if dtype is None else dtype.char)
        known = self._known.get(key)
        if known is None:
            before = len(self.assumed)
            known = self._known[key] = self._folded(operation, operands, dtype)
            if len(self.assumed) > before:
                self._relied[key] = self.assumed[before:]
        elif key in self._relied:
            self.assumed += self._relied[key]
        return known

    def rows(self, operation: str, *operands: np.ndarray | np.integer, dtype: np.dtype | None = None) -> np.ndarray:
        """Rows of an operation, element by element of arrays that broadcast."""
        arrays = np.broadcast_arrays(*operands)
        row = self.row
        columns = zip(*(a.reshape(-1).tolist() for a in arrays))
        out = [row(operation, *column, dtype=dtype) for column in columns]
        return np.array(out, np.int64).reshape(arrays[0].shape)

    def product(self, vector: Sequence[int], matrix: Matrix) -> list[int]:
        """Rows of the product of a vector, `matrix.lines` rows, and a matrix: a row "product" and one an element."""
        key = ("product", tuple(vector), matrix)
        known = self._known.get(key)
        if known is None:
            dtype = self.dtypes[matrix.first]
            known = self._known[key] = self._write("product", (*vector, matrix.first), dtype)
            self.products[known] = matrix
            for _ in range(matrix.columns):
                self._write("element", (known,), dtype)
        return list(range(known + 1, known + 1 + matrix.columns))

    def _write(self, operation: str, operands: tuple[int, ...], dtype: np.dtype, value=None) -> int:
        row = len(self.operations)
        self.operations.append(operation)
        self.operands.append(operands)
        self.dtypes.append(dtype)
        self.values.append(value)
        region = stage = 0
        for operand in operands:
            if self.depths[self.regions[operand]] > self.depths[region]:
                region = self.regions[operand]
            stage = max(stage, self.stages[operand])
        self.regions.append(region)
        self.stages.append(stage)
        self.finites.append(dtype.kind != "f")
        return row

    # Folding.

    def _folded(self, operation: str, operands: tuple[int, ...], dtype: np.dtype | None) -> int:
        values = [self.values[i] for i in operands]
        result = self.result(operation, operands, dtype)
        if all(value is not None for value in values):
            folded = evaluated(operation, values, result)
            if folded is not None:
                return self.constant(folded, result)
        same = self._identity(operation, operands, values, result)
        if same is not None:
            return same
        row = self._write(operation, operands, result)
        if result.kind == "f":
            numbers = operands[1:] if operation == "select" else operands
            narrower = operation == "convert" and self.dtypes[operands[0]].itemsize > result.itemsize
            self.finites[row] = operation in BOUNDED and not narrower and all(self.finites[i] for i in numbers)
        return row

    def result(self, operation: str, operands: tuple[int, ...], dtype: np.dtype | None = None) -> np.dtype:
        """The dtype of an operation's result: the last operand's, or the one that is asked for."""
        if dtype is not None:
            return dtype
        return BOOL if operation in COMPARISONS or operation == "is_finite" else self.dtypes[operands[-1]]

    def _identity(self, operation, operands, values, result) -> int | None:
        """The row that an operation amounts to, if there is one."""
        rule = IDENTITIES.get(operation)
        return None if rule is None else rule(self, operands, values, result)

    def known_finite(self, row: int) -> bool:
        """Whether a row cannot be NaN or infinite, or is taken for such."""
        if self.finite and not self.finites[row]:
            self.assumed.append(row)
        return self.finite or self.finites[row]

    # Loops.

    def region(self, parent: int) -> int:
        """A new region inside another."""
        self.parents.append(parent)
        self.depths.append(self.depths[parent] + 1)
        return len(self.depths) - 1

    def carried(self, dtype: np.dtype, region: int, stage: int) -> int:
        """A new row for what a loop carries."""
        row = self._write("carried", (), dtype)
        self.regions[row], self.stages[row] = region, stage
        return row

    def loop(self, loop: Loop) -> list[int]:
        """Close a loop; rows of its carries behind it."""
        row = self._write("loop", (), BOOL)
        self.regions[row] = loop.parent
        touched = [*loop.starts, *loop.nexts, *([] if loop.condition is None else [loop.condition])]
        self.stages[row] = max((self.stages[i] for i in touched), default=0)
        self.loops[row] = self.loop_of[loop.region] = loop
        return [self._carried_out(row, carry) for carry in range(len(loop.carries))]

    def one_more(self, row: int, carried: int, start: int, following: int) -> int:
        """Let a loop that is closed carry one more; its row behind the loop."""
        loop = self.loops[row]
        grown = loop._replace(
            carries=(*loop.carries, carried), starts=(*loop.starts, start), nexts=(*loop.nexts, following)
        )
        self.loops[row] = self.loop_of[loop.region] = grown
        return self._carried_out(row, len(loop.carries))

    def _carried_out(self, row: int, carry: int) -> int:
        loop = self.loops[row]
        result = self._write("result", (row, carry), self.dtypes[loop.carries[carry]])
        self.regions[result], self.stages[result] = loop.parent, self.stages[row]
        return result

    # Reading.

    def turns(self) -> list[int]:
        """How often the rows of each region are computed; once where nobody knows."""
        turns = [1] * len(self.depths)
        for region in range(1, len(turns)):
            loop = self.loop_of.get(region)
            turns[region] = turns[self.parents[region]] * ((loop.length or 1) if loop else 1)
        return turns

    def needed(self, outputs: Iterable[int], given: Iterable[int] = ()) -> set[int]:
        """All rows that some rows depend on, up to rows that are given."""
        given = set(given)
        todo, seen = list(outputs), set()
        while todo:
            row = todo.pop()
            if row in seen:
                continue
            seen.add(row)
            if row in given:
                continue
            todo.extend(self.before(row))
        return seen

    def before(self, row: int) -> Sequence[int]:
        """The rows that a row depends on at once."""
        operation = self.operations[row]
        if operation == "result":
            at, carry = self.operands[row]
            loop = self.loops[at]
            condition = () if loop.condition is None else (loop.condition,)
            last = loop.nexts[carry] if loop.length is not None else loop.carries[carry]
            return (at, last, *condition)
        if operation == "carried":
            loop = self.loop_of[self.regions[row]]
            carry = loop.carries.index(row)
            return (loop.starts[carry], loop.nexts[carry])
        return () if operation == "loop" else self.operands[row]


# Operations whose result is finite where their operands are. Sums and products may overflow.
BOUNDED = frozenset(
    {"neg", "abs", "sign", "max", "min", "select", "sin", "cos", "tanh", "atan", "floor", "ceil", "round", "convert"}
)


def _is(value, number) -> bool:
    return value is not None and value == number


def _mul(table: Table, operands, values, result):
    for i in (0, 1):
        other = operands[1 - i]
        if _is(values[i], 1):
            return other
        if _is(values[i], 0) and (result.kind != "f" or table.known_finite(other)):
            return table.constant(0, result)
        if _is(values[i], -1) and result.kind != "u":
            return table.row("neg", other)
    if result == BOOL:
        return table.row("and", *operands)
    return None


def _add(table: Table, operands, values, result):
    for i in (0, 1):
        if _is(values[i], 0):
            return operands[1 - i]
        other = operands[1 - i]
        if table.operations[other] == "neg" and values[i] is None:
            return table.row("sub", operands[i], table.operands[other][0])
    return table.row("or", *operands) if result == BOOL else None


def _sub(table: Table, operands, values, result):
    if _is(values[1], 0):
        return operands[0]
    if operands[0] == operands[1] and (result.kind != "f" or table.known_finite(operands[0])):
        return table.constant(0, result)
    if _is(values[0], 0) and result.kind != "f":
        return table.row("neg", operands[1])
    if table.operations[operands[1]] == "neg":
        return table.row("add", operands[0], table.operands[operands[1]][0])
    return None


def _div(table: Table, operands, values, result):
    if _is(values[1], 1):
        return operands[0]
    if result.kind == "f" and values[1] is not None:
        with np.errstate(all="ignore"):
            reciprocal = np.asarray(1 / values[1]).astype(result)[()]
        if np.isfinite(reciprocal) and abs(reciprocal) >= np.finfo(result).tiny:
            return table.row("mul", operands[0], table.constant(reciprocal, result))
    return None


def _and(table: Table, operands, values, result):
    if operands[0] == operands[1]:
        return operands[0]
    for i in (0, 1):
        if values[i] is not None and result == BOOL:
            return operands[1 - i] if values[i] else table.constant(False, BOOL)
        if values[i] is not None and not values[i]:
            return table.constant(0, result)
    return None


def _or(table: Table, operands, values, result):
    if operands[0] == operands[1]:
        return operands[0]
    for i in (0, 1):
        if values[i] is not None and result == BOOL:
            return table.constant(True, BOOL) if values[i] else operands[1 - i]
        if values[i] is not None and not values[i]:
            return operands[1 - i]
    return None


def _xor(table: Table, operands, values, result):
    for i in (0, 1):
        if values[i] is not None and not values[i]:
            return operands[1 - i]
        if values[i] is not None and result == BOOL:
            return table.row("not", operands[1 - i])
    return None


def _twice(table: Table, operands, values, result):
    """An operation that undoes itself."""
    inner = operands[0]
    return table.operands[inner][0] if table.operations[inner] in ("neg", "not") else None


def _neg(table: Table, operands, values, result):
    inner = operands[0]
    if table.operations[inner] == "neg":
        return table.operands[inner][0]
    if table.operations[inner] == "sub" and result.kind != "f":
        return table.row("sub", *reversed(table.operands[inner]))
    return None


def _select(table: Table, operands, values, result):
    condition, no, yes = operands
    if no == yes:
        return no
    if values[0] is not None:
        return yes if values[0] else no
    if table.operations[condition] == "not":
        return table.row("select", table.operands[condition][0], yes, no)
    if result == BOOL and values[1] is not None and values[2] is not None:
        return condition if values[2] else table.row("not", condition)
    return None


def _extreme(table: Table, operands, values, result):
    return operands[0] if operands[0] == operands[1] else None


def _convert(table: Table, operands, values, result):
    return operands[0] if table.dtypes[operands[0]] == result else None


def _equal(table: Table, operands, values, result):
    if operands[0] == operands[1] and table.finites[operands[0]]:
        return table.constant(True, BOOL)
    return None


def _is_finite(table: Table, operands, values, result):
    return table.constant(True, BOOL) if table.finites[operands[0]] else None


IDENTITIES = {
    "mul": _mul,
    "add": _add,
    "sub": _sub,
    "div": _div,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "not": _twice,
    "neg": _neg,
    "select": _select,
    "max": _extreme,
    "min": _extreme,
    "convert": _convert,
    "eq": _equal,
    "le": _equal,
    "ge": _equal,
    "is_finite": _is_finite,
}
