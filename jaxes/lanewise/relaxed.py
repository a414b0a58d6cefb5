"""A program that takes numbers for finite, and knows whether they were.

`0 * x` is 0 unless x is NaN or infinite, and physics is full of it: an axis (0, 0, 1) turns half of a cross product
into such terms. Here a program is folded once more as if every number were finite, which halves it, and is given one
more result: whether a number that was taken for finite was not. Such a lane is computed again by the program as it was.

Few numbers need a look of their own. NaN and infinity go through sums, products, roots and the like for certain, so a
number from which such a path leads to a result is looked at when the result is.
"""

from typing import NamedTuple

import numpy as np

from jaxes.lanewise.llvm import Array
from jaxes.lanewise.schedule import Block, scheduled
from jaxes.lanewise.table import Loop, Table

SINGLE = np.dtype("float32")
# Operands whose NaN or infinity becomes one of the result, whatever the other operand is.
CERTAIN = {"add": (0, 1), "sub": (0, 1), "mul": (0, 1), "div": (0,)}
CERTAIN |= dict.fromkeys(("neg", "abs", "sqrt", "sin", "cos", "naught"), (0,))


class Relaxed(NamedTuple):
    """The program of some rows, folded as if every number were finite."""

    table: Table
    inputs: list[Array]  # as they were given
    outputs: list[Array]
    failed: int  # a row: whether a number that was taken for finite was not

    @property
    def arrays(self) -> tuple[list[Array], list[Array]]:
        return self.inputs, self.outputs


def relaxed(table: Table, inputs: list[Array], outputs: list[Array]) -> Relaxed | None:
    """The relaxed program; None where nothing is gained, or where a loop of unknown length might not end.

    Nothing is gained in policies, whose numbers are not known: a program with products of matrices is left as it is.
    """
    given = [row for array in inputs for row in array.rows]
    results = [row for array in outputs for row in array.rows]
    needed = table.needed(results, given)
    if any(loop.length is None for row, loop in table.loops.items() if row in needed) or needed & table.products.keys():
        return None
    still: set[int] = set()  # carried rows that every turn leaves as they are
    while (folding := _Folding(table, needed, given, results, still)).unchanged:
        still |= folding.unchanged
    if not folding.relied:
        return None
    new = lambda arrays: [Array(tuple(folding.rows[row] for row in rows), dtype) for rows, dtype in arrays]
    short = Relaxed(folding.table, new(inputs), new(outputs), _failed(folding, [folding.rows[row] for row in results]))
    ends = [row for array in short.outputs for row in array.rows]
    starts = [row for array in short.inputs for row in array.rows]
    strict, less = scheduled(table, results, given), scheduled(short.table, [*ends, short.failed], starts)
    return short if worth(_work(strict) - _work(less), _work(less, once=True)) else None


def worth(saved: int, more: int) -> bool:
    """Whether a run saves enough operations for what is to be compiled more: loops do, a reset does not."""
    return saved > more


def _work(items: list[int | Block], *, once: bool = False) -> int:
    """Operations of a run, or, if every loop is run through once, those that are written down."""
    turns = lambda item: 1 if once else item.loop.length or 1
    inside = lambda item: _work(item.tested, once=once) + _work(item.body, once=once)
    return sum(
        turns(item) * inside(item) + _work(item.rest, once=once) if isinstance(item, Block) else 1 for item in items
    )


class _Folding:
    """Rows of a table, written into another one that takes numbers for finite."""

    def __init__(self, table: Table, needed: set[int], given: list[int], results: list[int], still: set[int]):
        self.old, self.table = table, Table(finite=True)
        self.rows: dict[int, int] = {}
        self.relied: dict[int, bool] = {}  # rows that were taken for finite, and whether in every turn of their loop
        self.unchanged: set[int] = set()  # rows that a loop carries to no purpose
        self._regions = {0: 0}
        self._results: dict[int, dict[int, int]] = {}  # by the row "loop"
        self._every_turn = _cores(scheduled(table, results, given))
        for row in given:
            if row not in self.rows:
                self.rows[row] = self.table.input(table.dtypes[row], 0)
        for row in sorted(needed - self.rows.keys()):
            self.rows[row] = self._written(row, still)
            for other in self.table.assumed:
                self.relied[other] = self.relied.get(other, False) or row in self._every_turn
            self.table.assumed.clear()

    def _written(self, row: int, still: set[int]) -> int:
        old, new = self.old, self.table
        operation, operands, dtype = old.operations[row], old.operands[row], old.dtypes[row]
        if operation == "constant":
            return new.constant(old.values[row], dtype)
        if operation == "carried":
            loop = old.loop_of[old.regions[row]]
            if row in still:
                return self.rows[loop.starts[loop.carries.index(row)]]
            return new.carried(dtype, self._region(old.regions[row]), 0)
        if operation == "loop":
            return self._looped(row, old.loops[row], still)
        if operation == "result":
            carried = old.loops[operands[0]].carries[operands[1]]
            return self.rows[carried] if carried in still else self._results[operands[0]][operands[1]]
        same = old.result(operation, operands) == dtype
        return new.row(operation, *(self.rows[i] for i in operands), dtype=None if same else dtype)

    def _region(self, old: int) -> int:
        if old not in self._regions:
            self._regions[old] = self.table.region(self._region(self.old.parents[old]))
        return self._regions[old]

    def _looped(self, row: int, loop: Loop, still: set[int]) -> int:
        table, region = self.table, self._region(loop.region)
        kept = [i for i, carry in enumerate(loop.carries) if carry not in still and loop.nexts[i] in self.rows]
        carried, starts = [], []
        for i in kept:
            carry, start = loop.carries[i], loop.starts[i]
            if carry not in self.rows:  # what is read of it is its last value only
                self.rows[carry] = table.carried(self.old.dtypes[carry], region, 0)
            carried.append(self.rows[carry])
            starts.append(self.rows[start] if start in self.rows else table.constant(0, self.old.dtypes[carry]))
        nexts = [self.rows[loop.nexts[i]] for i in kept]
        self.unchanged |= {loop.carries[i] for i, old, new in zip(kept, carried, nexts) if old == new}
        at = len(table)
        made = Loop(region, self._region(loop.parent), loop.length, None, tuple(carried), tuple(starts), tuple(nexts))
        self._results[row] = dict(zip(kept, table.loop(made)))
        return at


def _cores(items: list[int | Block]) -> set[int]:
    """What is computed in every turn of a loop."""
    rows = set()
    for item in items:
        if isinstance(item, Block):
            rows |= _flat(item.body) | _cores(item.rest)
    return rows


def _flat(items: list[int | Block]) -> set[int]:
    parts = [_flat([*item.body, *item.rest]) if isinstance(item, Block) else {item} for item in items]
    return set().union(*parts)


def _failed(folding: _Folding, outputs: list[int]) -> int:
    """Rows that look at what was taken for finite: a sum that is 0, or NaN if something was not."""
    table = folding.table
    always, at_last = _seen(table, outputs)
    naughts: dict[tuple[int, bool], list[int]] = {}  # by the region, and whether they count in every turn
    look = lambda row: naughts.setdefault((table.regions[row], folding.relied.get(row, True)), []).append(
        table.row("convert", table.row("naught", row), dtype=SINGLE)
    )
    for row, every_turn in folding.relied.items():
        if table.values[row] is None and row not in always and (every_turn or row not in at_last):
            look(row)
    for row in outputs:
        if table.dtypes[row].kind == "f" and table.values[row] is None:
            look(row)
    loops = {loop.region: at for at, loop in table.loops.items()}
    zero = table.constant(0, SINGLE)
    for region in sorted(range(1, len(table.depths)), key=lambda region: -table.depths[region]):
        for every_turn in (True, False):
            if rows := naughts.get((region, every_turn)):
                carried = table.carried(SINGLE, region, 0)
                total = _sum(table, [*rows, carried] if every_turn else rows)
                result = table.one_more(loops[region], carried, zero, total)
                naughts.setdefault((table.parents[region], True), []).append(result)
    total = _sum(table, [zero, *(row for (region, _), rows in naughts.items() if region == 0 for row in rows)])
    return table.row("ne", total, total)


def _sum(table: Table, rows: list[int]) -> int:
    """A sum as a tree, whose parts do not wait for each other."""
    while len(rows) > 1:
        pairs = [table.row("add", a, b) for a, b in zip(rows[::2], rows[1::2])]
        rows = pairs + rows[2 * len(pairs) :]
    return rows[0]


def _seen(table: Table, outputs: list[int]) -> tuple[set[int], set[int]]:
    """Rows whose NaN or infinity reaches a result for certain: that of any turn, and that of the last turn only."""
    needed = sorted(table.needed(outputs), reverse=True)
    there = set(needed)
    lost: set[int] = set()  # carried rows that do not lead from one turn to the next
    while True:
        always, at_last = {row for row in outputs if table.dtypes[row].kind == "f"}, set()
        for row in needed:
            if row not in always and row not in at_last:
                continue
            operation, operands = table.operations[row], table.operands[row]
            if operation == "result":
                loop, carry = table.loops[operands[0]], operands[1]
                on = loop.carries[carry] in there and loop.carries[carry] not in lost and loop.parent == 0
                (always if on else at_last).add(loop.nexts[carry])
            for k in CERTAIN.get(operation, ()):
                outer = table.regions[operands[k]] == 0
                (always if row in always or outer else at_last).add(operands[k])
        carried = {row for row in there if table.operations[row] == "carried" and row not in always}
        if carried <= lost:
            return always, at_last
        lost |= carried
