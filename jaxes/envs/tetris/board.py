"""A Tetris board as one word for each column, and all placements of a piece at once.

Bit r of a column is its cell in row r, counted from the floor. Rows above the board hold what overflows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.envs.tetris.pieces import CELLS

ROWS = 32  # bits in a column


class Afterstates(NamedTuple):
    """What a board becomes by each of k placements of a piece, on w columns."""

    boards: jax.Array  # uint32[w, k]: after the full rows were removed
    lines: jax.Array  # int32[k]: rows removed
    landing: jax.Array  # int32[k]: the row of the piece's lowest cell
    cells: jax.Array  # int32[k]: cells of the piece in the rows removed


def heights(board: jax.Array) -> jax.Array:
    """The height of each column: rows up to its highest full cell.

    Args:
        board: uint32[...].

    Returns:
        int32[...].

    >>> import jax.numpy as jnp
    >>> heights(jnp.array([0b0000, 0b0101], jnp.uint32)).tolist()
    [0, 3]
    """
    return ROWS - lax.clz(board).astype(jnp.int32)


def place(board: jax.Array, columns: jax.Array, bottoms: jax.Array) -> Afterstates:
    """Drop a piece straight down in every way, and remove the rows that are full then, also above the board's top.

    Args:
        board: uint32[w].
        columns: uint32[w, k], from `jaxes.envs.tetris.table`: the piece's cells.
        bottoms: int32[w, k], likewise: its lowest cells.

    Returns:
        `Afterstates` of the k placements.

    >>> import jax.numpy as jnp
    >>> from jaxes.envs import tetris
    >>> pieces = tetris.table(4, "I")  # lying there is one way, and standing there are four
    >>> after = tetris.place(jnp.zeros(4, jnp.uint32), pieces.columns[0], pieces.bottoms[0])
    >>> after.lines.tolist(), after.boards[:, 1].tolist()
    ([1, 0, 0, 0, 0], [15, 0, 0, 0])
    """
    landing = jnp.max(heights(board)[:, None] - bottoms, axis=0, where=bottoms >= 0, initial=0)
    piece = columns << landing.astype(jnp.uint32)[None]
    boards = board[:, None] | piece
    full = lax.reduce(boards, jnp.uint32(0xFFFFFFFF), lax.bitwise_and, (0,))
    lines = lax.population_count(full).astype(jnp.int32)
    cells = jnp.sum(lax.population_count(piece & full[None]).astype(jnp.int32), axis=0)
    return Afterstates(without(boards, full), lines, landing, cells)


def without(boards: jax.Array, full: jax.Array) -> jax.Array:
    """Remove the rows whose bits are set in `full` (uint32[k], at most four bits each) from `boards` (uint32[w, k])."""
    full = full[None]
    for _ in range(CELLS):
        below = (full & -full) - 1  # the rows under the lowest full one; all where there is none
        boards = (boards & below) | ((boards >> 1) & ~below)
        full = (full & (full - 1)) >> 1
    return boards
