"""The order in which needed rows are computed: of loops, what each turn needs and what is for the last one only."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxes.lanewise.table import Loop, Table


class Block(NamedTuple):
    """A loop, and rows and loops inside it."""

    loop: Loop
    carries: list[int]  # which of its carries are needed
    tested: list["int | Block"]  # what the condition of a loop of unknown length needs
    body: list["int | Block"]  # what the next turn needs
    rest: list["int | Block"]  # what is computed once, behind the last turn, from that turn's values


class Emitter:
    """Writes rows and loops in order; `name`, `compute` and `loop` are a language's own."""

    def __init__(self, table: Table):
        self.table = table
        self.names: dict[int, str] = {}  # of rows that have been written

    def items(self, items: Iterable[int | Block]) -> None:
        """Write rows and loops. What a loop leaves behind is the value of its last turn, under its name there."""
        for item in items:
            if isinstance(item, Block):
                self.loop(item)
            elif self.table.operations[item] == "result":
                at, carry = self.table.operands[item]
                loop = self.table.loops[at]
                self.names[item] = self.name(loop.nexts[carry] if loop.length is not None else loop.carries[carry])
            else:
                self.names[item] = self.compute(item)

    def name(self, row: int) -> str:
        """A row's value: its name, or the constant that it is."""
        value = self.table.values[row]
        return self.names[row] if value is None else self.constant(value, self.table.dtypes[row])

    def constant(self, value: Any, dtype: np.dtype) -> str:
        """A constant as text."""
        raise NotImplementedError

    def compute(self, row: int) -> str:
        """Write a row's operation; the name of its value."""
        raise NotImplementedError

    def loop(self, block: Block) -> None:
        """Write a loop."""
        raise NotImplementedError


def scheduled(table: Table, outputs: Iterable[int], given: Iterable[int]) -> list[int | Block]:
    """Rows and loops outside of all loops, in order; neither constants nor rows that are given."""
    given = set(given)
    needed = table.needed(outputs, given)
    return _ordered(table, 0, needed - given, needed)


def _ordered(table: Table, region: int, rows: set[int], needed: set[int]) -> list[int | Block]:
    silent = ("constant", "carried")
    here = sorted(r for r in rows if table.regions[r] == region and table.operations[r] not in silent)
    return [_block(table, table.loops[r], needed) if r in table.loops else r for r in here]


def _block(table: Table, loop: Loop, needed: set[int]) -> Block:
    inside = {row for row in needed if _within(table, row, loop.region)}
    carries = [i for i, row in enumerate(loop.carries) if row in needed]
    ordered = lambda rows: _ordered(table, loop.region, rows, needed)
    if loop.condition is None:
        core = _reached(table, [loop.nexts[i] for i in carries], inside)
        return Block(loop, carries, [], ordered(core), ordered(inside - core))
    tested = _reached(table, [loop.condition], inside - set(loop.carries))
    return Block(loop, carries, ordered(tested), ordered(inside - tested), [])


def _within(table: Table, row: int, region: int) -> bool:
    at = table.regions[row]
    while table.depths[at] > table.depths[region]:
        at = table.parents[at]
    return at == region


def _reached(table: Table, outputs: list[int], inside: set[int]) -> set[int]:
    """Rows inside a loop that some of its rows depend on."""
    todo, seen = [row for row in outputs if row in inside], set()
    while todo:
        row = todo.pop()
        if row not in seen and row in inside:
            seen.add(row)
            todo.extend(table.before(row))
    return seen
