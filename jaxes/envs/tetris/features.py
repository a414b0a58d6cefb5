"""Features of Tetris boards, for all placements of a piece at once.

Bertsekas and Ioffe: "Temporal Differences-Based Policy Iteration and Applications in Neuro-Dynamic Programming", 1996;
Dellacherie's and BCTS's as defined by Thiery, Scherrer: "Building Controllers for Tetris", ICGA Journal 32 (2009) 3-11.
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
    count: Callable[[int], int]  # (width) -> how many features
    of: Callable[[Afterstates, jax.Array, int], jax.Array]
    """(afterstates of k placements, rows that the piece covers int32[k], rows of the board) -> float32[k, count]"""


def bertsekas(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """Heights, absolute differences of neighbors, the largest height, holes, and 1: 22 on ten columns."""
    del piece_rows, rows
    high = heights(after.boards)
    holes = jnp.sum(high - count(after.boards), axis=0, keepdims=True)
    steps = jnp.abs(high[1:] - high[:-1])
    return _stack([high, steps, jnp.max(high, axis=0, keepdims=True), holes, jnp.ones_like(holes)])


def dellacherie(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """Landing height, eroded piece cells, row transitions, column transitions, holes, cumulative wells."""
    return _stack(_dellacherie(after, piece_rows, rows))


def bcts(after: Afterstates, piece_rows: jax.Array, rows: int) -> jax.Array:
    """Dellacherie's six, depth of holes, rows with holes."""
    boards = after.boards
    empty = _holes(boards)
    # Full cells that lie without a gap above a hole: the lowest, then those up to 1, 2, 4, ... rows above these.
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
    """int32, like `words`: bits set."""
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
    """int32[k]: over empty cells between two full ones (or walls), the empty cells from there down to a full one."""
    walls = jnp.broadcast_to(ALL, (1, *boards.shape[1:]))
    left, right = jnp.concatenate([walls, boards[:-1]]), jnp.concatenate([boards[1:], walls])
    cells = ~boards & left & right

    def deeper(_, state):
        cells, total = state
        return (cells >> 1) & ~boards, total + jnp.sum(count(cells), axis=0)

    nothing = jnp.zeros(boards.shape[1:], jnp.int32)
    return lax.fori_loop(0, rows + CELLS, deeper, (cells, nothing))[1]


def _holes(boards: jax.Array) -> jax.Array:
    """Empty cells with a full one above them."""
    return ~boards & below(heights(boards))


def below(height: jax.Array) -> jax.Array:
    """Words in which the lowest `height` bits are set."""
    return jnp.where(height > 0, ALL >> (ROWS - jnp.maximum(height, 1)).astype(jnp.uint32), jnp.uint32(0))


def _stack(rows: list[jax.Array]) -> jax.Array:
    return jnp.concatenate([row.astype(jnp.float32) for row in rows]).T
