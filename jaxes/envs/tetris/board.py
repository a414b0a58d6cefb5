"""A Tetris board as one word for each column, and all placements of a piece at once.

Bit r of a column is its cell in row r, counted from the floor. Rows above the board hold what overflows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.envs.tetris.pieces import CELLS

ROWS = 32  # bits of a column


class Afterstates(NamedTuple):
    """What a board may become, by placement; k placements on w columns."""

    boards: jax.Array  # uint32[w, k]: after full rows were removed
    lines: jax.Array  # int32[k]: rows removed
    landing: jax.Array  # int32[k]: the row of the piece's lowest cell
    cells: jax.Array  # int32[k]: of the piece, in the rows removed


def heights(board: jax.Array) -> jax.Array:
    """int32, like `board`: rows up to the highest full cell of each column."""
    return ROWS - lax.clz(board).astype(jnp.int32)


def place(board: jax.Array, columns: jax.Array, bottoms: jax.Array) -> Afterstates:
    """Drop a piece straight down in every way; rows that are full then go, also above the board's top.

    Args:
        board: uint32[w].
        columns: uint32[w, k], of `jaxes.envs.tetris.table`: the piece's cells.
        bottoms: int32[w, k], likewise: its lowest cells.
    """
    landing = jnp.max(heights(board)[:, None] - bottoms, axis=0, where=bottoms >= 0, initial=0)
    piece = columns << landing.astype(jnp.uint32)[None]
    boards = board[:, None] | piece
    full = lax.reduce(boards, jnp.uint32(0xFFFFFFFF), lax.bitwise_and, (0,))
    lines = lax.population_count(full).astype(jnp.int32)
    cells = jnp.sum(lax.population_count(piece & full[None]).astype(jnp.int32), axis=0)
    return Afterstates(without(boards, full), lines, landing, cells)


def without(boards: jax.Array, full: jax.Array) -> jax.Array:
    """Take the rows of `full` (uint32[k], at most four bits in each) out of `boards` (uint32[w, k])."""
    full = full[None]
    for _ in range(CELLS):
        below = (full & -full) - 1  # the rows under the lowest full one; all where there is none
        boards = (boards & below) | ((boards >> 1) & ~below)
        full = (full & (full - 1)) >> 1
    return boards
