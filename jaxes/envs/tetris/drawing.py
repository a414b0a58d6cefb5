"""Pictures of a game of Tetris."""

from typing import Any

import numpy as np

from jaxes.envs import drawings
from jaxes.envs.tetris.board import ROWS
from jaxes.envs.tetris.pieces import NAMES, table

HEAD = 3  # rows above the board, where the next piece is shown


def frames(
    moments: list[Any], names: str, width: int, rows: int, height: int = 400, most_width: int = 400
) -> list[np.ndarray]:
    """Draw the boards of a game, each with the next piece above it.

    Args:
        moments: `Game`s with NumPy arrays. If they follow each other step by step, each cell has the color of the piece
            that it came with.
        names: of the pieces.
        width: of the board, in cells.
        rows: of the board, in cells.
        height: of a picture, at most, in pixels.
        most_width: likewise.

    Returns:
        Pictures, uint8[height, width, 3].
    """
    order = [NAMES.index(name) for name in names]
    colors, out = np.zeros((ROWS, width), int), []  # 0 for an empty cell, else the piece + 1; the lowest row first
    for before, now in zip([None, *moments], moments):
        colors = _next(colors, before, now, names, order)
        cells = np.zeros((rows + HEAD, width), int)
        cells[:rows] = colors[:rows]
        shape = table(width, names).columns[now.piece, :, 0]
        shape = np.roll(shape, (width - np.count_nonzero(shape)) // 2)
        cells[rows + 1 :] = _bits(shape)[:2] * (order[int(now.piece)] + 1)
        out.append(_picture(cells[::-1], rows, height, most_width))
    return out


def _next(colors, before, now, names, order):
    """The colors of `now`'s cells."""
    board = _bits(now.board)
    if before is not None and int(now.time) == int(before.time) + 1:
        same = (np.asarray(before.after.boards) == np.asarray(now.board)[:, None]).all(axis=0)
        lines = np.asarray(before.after.lines) == int(now.lines) - int(before.lines)
        ways = table(len(now.board), names)
        found = np.flatnonzero(same & lines & ways.exists[before.piece])
        if found.size:
            way = found[0]
            piece = np.asarray(ways.columns[before.piece, :, way], np.uint64) << np.uint64(before.after.landing[way])
            colors = np.where(_bits(piece) > 0, order[int(before.piece)] + 1, colors)
            kept = colors[~(colors > 0).all(axis=1)]
            colors = np.concatenate([kept, np.zeros((ROWS - len(kept), colors.shape[1]), int)])
    return np.where(board > 0, np.where(colors > 0, colors, len(NAMES) + 1), 0)


def _bits(columns: np.ndarray) -> np.ndarray:
    """The bits of words, int[ROWS, width]."""
    return (np.asarray(columns, np.uint64)[None] >> np.arange(ROWS, dtype=np.uint64)[:, None]).astype(int) & 1


def _picture(cells: np.ndarray, rows: int, height: int, width: int) -> np.ndarray:
    """A picture (uint8) of cells, the top row first, with thin lines between them and above the board."""
    size = max(4, min(height // cells.shape[0], width // cells.shape[1]) // 2 * 2)
    palette = np.array([drawings.BACKGROUND, *drawings.PALETTE[1 : len(NAMES) + 1], (200, 200, 200)], np.uint8)
    picture = palette[cells].repeat(size, axis=0).repeat(size, axis=1)
    lines = np.arange(0, picture.shape[0], size), np.arange(0, picture.shape[1], size)
    picture[lines[0]] = picture[lines[0]] // 2
    picture[:, lines[1]] = picture[:, lines[1]] // 2
    picture[(cells.shape[0] - rows) * size] = 255
    return picture
