"""Features of Tetris boards, for all placements of a piece at once.

Bertsekas and Ioffe: "Temporal Differences-Based Policy Iteration and Applications in Neuro-Dynamic Programming", 1996;
the features of Dellacherie and of BCTS as defined by Thiery, Scherrer: "Building Controllers for Tetris", ICGA Journal
32 (2009) 3-11.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.envs.tetris.board import ROWS, Afterstates, heights
from jaxes.envs.tetris.pieces import CELLS

ALL = jnp.uint32(0xFFFFFFFF)


class FeatureSet(NamedTuple):
    """Features by name."""

    count: Callable[[int], int]  # (width) -> how many features
    of: Callable[[Afterstates, jax.Array, int], jax.Array]
    """(afterstates of k placements, rows that the piece covers int32[k], rows of the board) -> float32[k, count]"""


def bertsekas(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """The heights, the absolute differences of neighbors, the largest height, the holes, and 1: 22 on ten columns.

    Args:
        after: `Afterstates` of k placements.
        piece_rows: int32[k]: rows that the piece covers.
        rows: of the board.

    Returns:
        float32[k, 2 * width + 2].

    >>> import jax.numpy as jnp
    >>> from jaxes.envs import tetris
    >>> pieces = tetris.table(10, "T")
    >>> after = tetris.place(jnp.zeros(10, jnp.uint32), pieces.columns[0], pieces.bottoms[0])
    >>> tetris.bertsekas(after, jnp.asarray(pieces.heights[0]), 20).shape
    (34, 22)
    """
    del piece_rows, rows
    high = heights(after.boards)
    holes = jnp.sum(high - count(after.boards), axis=0, keepdims=True)
    steps = jnp.abs(high[1:] - high[:-1])
    return _stack([high, steps, jnp.max(high, axis=0, keepdims=True), holes, jnp.ones_like(holes)])


def dellacherie(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """Landing height, eroded piece cells, row transitions, column transitions, holes, and cumulative wells.

    Args:
        after: `Afterstates` of k placements.
        piece_rows: int32[k]: rows that the piece covers.
        rows: of the board.

    Returns:
        float32[k, 6].

    >>> import jax.numpy as jnp
    >>> from jaxes.envs import tetris
    >>> pieces = tetris.table(10, "T")
    >>> after = tetris.place(jnp.zeros(10, jnp.uint32), pieces.columns[0], pieces.bottoms[0])
    >>> tetris.dellacherie(after, jnp.asarray(pieces.heights[0]), 20).shape
    (34, 6)
    """
    return _stack(_dellacherie(after, piece_rows, rows))


def bcts(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """The six of `dellacherie`, the depth of holes, and the rows with holes.

    Args:
        after: `Afterstates` of k placements.
        piece_rows: int32[k]: rows that the piece covers.
        rows: of the board.

    Returns:
        float32[k, 8].

    >>> import jax.numpy as jnp
    >>> from jaxes.envs import tetris
    >>> pieces = tetris.table(10, "T")
    >>> after = tetris.place(jnp.zeros(10, jnp.uint32), pieces.columns[0], pieces.bottoms[0])
    >>> tetris.bcts(after, jnp.asarray(pieces.heights[0]), 20).shape
    (34, 8)
    """
    boards = after.boards
    empty = _holes(boards)
    # Full cells without a gap above a hole: the lowest one first, then the ones up to 1, 2, 4, ... rows above.
    run, solid = boards & (empty << 1), boards
    for reach in (1, 2, 4, 8, 16):
        run |= (run << reach) & solid
        solid &= solid << reach
    depth = jnp.sum(count(run), axis=0, keepdims=True)
    with_holes = count(lax.reduce(empty, jnp.uint32(0), lax.bitwise_or, (0,)))[None]
    return _stack([*_dellacherie(after, piece_rows, rows), depth, with_holes])


FEATURES = {
    "bertsekas": FeatureSet(lambda width: 2 * width + 2, bertsekas),
    "dellacherie": FeatureSet(lambda width: 6, dellacherie),
    "bcts": FeatureSet(lambda width: 8, bcts),
}


def count(words: jax.Array) -> jax.Array:
    """How many bits are set in each word, int32[...]."""
    return lax.population_count(words).astype(jnp.int32)


def _dellacherie(after: Afterstates, piece_rows: jax.Array, rows: int) -> list[jax.Array]:
    boards, width = after.boards, after.boards.shape[0]
    top = jnp.max(heights(boards), axis=0)  # of the pile
    pile = below(top)
    landing = after.landing.astype(jnp.float32) + (piece_rows.astype(jnp.float32) - 1) * 0.5
    eroded = after.lines * after.cells
    # Walls are full; an empty row has two transitions.
    between = jnp.sum(count(boards[1:] ^ boards[:-1]), axis=0)
    at_walls = count(~boards[0] & pile) + count(~boards[width - 1] & pile)
    across = between + at_walls + 2 * (rows - top)
    # The floor is full, and so each column has one transition more than there are changes above it.
    up = jnp.sum(count(boards ^ ((boards << 1) | 1)), axis=0)
    holes = jnp.sum(count(_holes(boards)), axis=0)
    return [x[None].astype(jnp.float32) for x in (landing, eroded, across, up, holes, _wells(boards, rows))]


def _wells(boards: jax.Array, rows: int) -> jax.Array:
    """Cumulative wells, int32[k]: for each empty cell between full cells or walls, the empty cells from it down."""
    walls = jnp.broadcast_to(ALL, (1, *boards.shape[1:]))
    left, right = jnp.concatenate([walls, boards[:-1]]), jnp.concatenate([boards[1:], walls])
    cells = ~boards & left & right

    def deeper(_, state):
        cells, total = state
        return (cells >> 1) & ~boards, total + jnp.sum(count(cells), axis=0)

    nothing = jnp.zeros(boards.shape[1:], jnp.int32)
    return lax.fori_loop(0, rows + CELLS, deeper, (cells, nothing))[1]


def _holes(boards: jax.Array) -> jax.Array:
    """Empty cells with a full cell somewhere above them, as bits."""
    return ~boards & below(heights(boards))


def below(height: jax.Array) -> jax.Array:
    """Words in which the lowest `height` bits are set."""
    return jnp.where(height > 0, ALL >> (ROWS - jnp.maximum(height, 1)).astype(jnp.uint32), jnp.uint32(0))


def _stack(rows: list[jax.Array]) -> jax.Array:
    return jnp.concatenate([row.astype(jnp.float32) for row in rows]).T
