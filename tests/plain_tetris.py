"""Tetris on a plain array of cells, one placement and one cell at a time: what bitboards are checked against."""

import numpy as np

from jaxes.envs.tetris import SHAPES

ROOM = 4  # rows above the board, for what overflows


def turns(cells):
    """Every orientation as a bool array [rows, columns], row 0 the lowest, without repetitions."""
    grid = np.zeros((1 + max(y for _, y in cells), 1 + max(x for x, _ in cells)), bool)
    for x, y in cells:
        grid[y, x] = True
    found = []
    for k in range(4):
        turned = np.rot90(grid, k)
        if not any(np.array_equal(turned, other) for other in found):
            found.append(turned)
    return found


def placements(board, name):
    """All that may come of a piece: {(what it fills first, as bytes): outcome}, with board bool[rows + ROOM, width].

    An outcome is (board after, lines, lowest row of the piece, rows of the piece, its cells in removed rows, highest
    row that it reached).
    """
    out = {}
    rows, width = board.shape
    for piece in turns(SHAPES[name]):
        high, wide = piece.shape
        for left in range(width - wide + 1):
            at = rows - high
            while at > 0 and not (board[at - 1 : at - 1 + high, left : left + wide] & piece).any():
                at -= 1
            put = np.zeros_like(board)
            put[at : at + high, left : left + wide] = piece
            full = (board | put).all(axis=1)
            kept = (board | put)[~full]
            after = np.vstack([kept, np.zeros((full.sum(), width), bool)])
            out[put.tobytes()] = (after, int(full.sum()), at, high, int(put[full].sum()), at + high)
    return out


def column_heights(board):
    rows = np.arange(1, board.shape[0] + 1)[:, None]
    return (board * rows).max(axis=0)


def bertsekas(outcome, height):
    board = outcome[0]
    h = column_heights(board)
    return [*h, *np.abs(np.diff(h)), h.max(), len(holes(board)), 1]


def holes(board):
    return [(r, c) for r, c in np.argwhere(~board) if board[r + 1 :, c].any()]


def transitions(line):
    return int((line[1:] != line[:-1]).sum())


def dellacherie(outcome, height):
    board, lines, landing, rows, cells, _ = outcome
    top = column_heights(board).max()
    framed = np.pad(board, ((0, 0), (1, 1)), constant_values=True)
    floored = np.vstack([np.ones(board.shape[1], bool), board, np.zeros(board.shape[1], bool)])
    across = sum(transitions(framed[r]) for r in range(top)) + 2 * (height - top)
    up = sum(transitions(floored[:, c]) for c in range(board.shape[1]))
    wells = 0
    for r, c in np.argwhere(~board & framed[:, :-2] & framed[:, 2:]):
        below = board[: r + 1, c][::-1]
        wells += below.argmax() if below.any() else r + 1
    return [landing + (rows - 1) / 2, lines * cells, across, up, len(holes(board)), wells]


def bcts(outcome, height):
    board = outcome[0]
    depth = 0
    for c in range(board.shape[1]):
        for r in range(1, board.shape[0]):
            if board[r, c] and not board[r - 1, c]:  # the lowest full cell above a hole, and those right on it
                run = board[r:, c]
                depth += len(run) if run.all() else run.argmin()
    return [*dellacherie(outcome, height), depth, len({r for r, _ in holes(board)})]
