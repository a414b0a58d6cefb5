"""The seven pieces of Tetris and every way to put each of them on a board, as tables for a width of the board."""

import functools
from typing import NamedTuple

import numpy as np

# Cells (column, row), rows counted from the bottom.
SHAPES = {
    "I": ((0, 0), (1, 0), (2, 0), (3, 0)),
    "O": ((0, 0), (1, 0), (0, 1), (1, 1)),
    "T": ((0, 0), (1, 0), (2, 0), (1, 1)),
    "S": ((0, 0), (1, 0), (1, 1), (2, 1)),
    "Z": ((1, 0), (2, 0), (0, 1), (1, 1)),
    "J": ((0, 0), (1, 0), (2, 0), (0, 1)),
    "L": ((0, 0), (1, 0), (2, 0), (2, 1)),
}
NAMES = tuple(SHAPES)
CELLS = 4  # that each piece has
ABSENT = -64  # the bottom of a piece in a column where it has no cell: below everything

Cells = tuple[tuple[int, int], ...]


class Table(NamedTuple):
    """The placements of p pieces; k is the number of placements of the piece that has most."""

    columns: np.ndarray  # uint32[p, width, k]: the piece's cells in each column, as bits from the lowest row on
    bottoms: np.ndarray  # int32[p, width, k]: its lowest cell in each column, ABSENT where it has none
    heights: np.ndarray  # int32[p, k]: rows that it covers
    exists: np.ndarray  # bool[p, k]


def orientations(shape: Cells) -> list[Cells]:
    """The distinct turns of a shape, each moved to the corner (0, 0)."""
    found: list[Cells] = []
    for _ in range(4):
        left, low = min(x for x, _ in shape), min(y for _, y in shape)
        moved = tuple(sorted((x - left, y - low) for x, y in shape))
        if moved not in found:
            found.append(moved)
        shape = tuple((y, -x) for x, y in shape)
    return found


def placements(shape: Cells, width: int) -> list[Cells]:
    """The shape's cells for every orientation and column, at the lowest row."""
    return [
        tuple((x + left, y) for x, y in cells)
        for cells in orientations(shape)
        for left in range(width - max(x for x, _ in cells))
    ]


@functools.cache
def table(width: int, names: str = "".join(NAMES)) -> Table:
    """The placements of the pieces in `names`, a string, on a board of `width` columns.

    >>> from jaxes.envs import tetris
    >>> tetris.table(10).exists.sum(axis=1).tolist()  # of I, O, T, S, Z, J and L
    [17, 9, 34, 17, 17, 34, 34]
    """
    every = [placements(SHAPES[name], width) for name in names]
    most = max(map(len, every))
    columns = np.zeros((len(every), width, most), np.uint32)
    bottoms = np.full(columns.shape, ABSENT, np.int32)
    heights = np.zeros((len(every), most), np.int32)
    for p, ways in enumerate(every):
        for k, cells in enumerate(ways):
            heights[p, k] = 1 + max(y for _, y in cells)
            for x, y in sorted(cells, reverse=True):  # the lowest cell of a column comes last
                columns[p, x, k] |= np.uint32(1 << y)
                bottoms[p, x, k] = y
    return Table(columns, bottoms, heights, heights > 0)
