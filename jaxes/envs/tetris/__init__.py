"""Tetris: boards with one word for each column, all placements of a piece at once, and features of what they leave."""

from jaxes.envs.tetris.board import Afterstates, heights, place
from jaxes.envs.tetris.env import MAX_STEPS, Game, make
from jaxes.envs.tetris.features import FEATURES, bcts, bertsekas, dellacherie
from jaxes.envs.tetris.pieces import NAMES, SHAPES, table

__all__ = [
    "make",
    "MAX_STEPS",
    "Game",
    "Afterstates",
    "place",
    "heights",
    "FEATURES",
    "bertsekas",
    "dellacherie",
    "bcts",
    "table",
    "SHAPES",
    "NAMES",
]
