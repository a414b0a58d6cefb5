"""Tetris without falling: an action places the next piece, and the observation describes what each action would leave.

The game of Bertsekas and Ioffe 1996, with two rules of Thiery and Scherrer 2009 that change scores a lot: full rows are
removed even if the piece reaches above the board, and a placement that ends the game is taken only if all do.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Discrete, Env, EnvState
from jaxes.envs.tetris.board import ROWS, Afterstates, heights, place
from jaxes.envs.tetris.drawing import frames
from jaxes.envs.tetris.features import FEATURES
from jaxes.envs.tetris.pieces import CELLS, NAMES, table
from jaxes.support import checks

MAX_STEPS = 100_000


class Game(NamedTuple):
    """One moment of one game."""

    key: jax.Array  # key[]: piece t is drawn from fold_in(key, t)
    time: jax.Array  # int32[]: pieces placed
    lines: jax.Array  # int32[]: rows removed
    board: jax.Array  # uint32[width]
    piece: jax.Array  # int32[]: the piece to be placed
    after: Afterstates  # of all placements of that piece


def make(
    *,
    width: int = 10,
    height: int = 20,
    features: str = "bertsekas",
    pieces: str = "".join(NAMES),
    overflow: bool = True,
    avoid_end: bool = True,
    max_steps: int = MAX_STEPS,
) -> Env:
    """The environment "jaxes/tetris".

    An observation describes every choice: `features`, float32[k, f], of the board that the choice leaves, and
    `allowed`, bool[k], which is true for one choice at least. `jaxes.rl.values` makes policies for such observations,
    to be used with `jaxes.rl.rollout(env, policy, normalize=False)`. The reward of a step is the number of rows
    removed. Pieces are independent and equally likely. Pieces with fewer placements than others have choices that are
    not allowed; a step with a choice that is not allowed means nothing.

    Args:
        width: columns, 4 to 32.
        height: rows, 4 to 28.
        features: "bertsekas" (2 * width + 2 numbers), "dellacherie" (6) or "bcts" (8), see
            `jaxes.envs.tetris.features`.
        pieces: the pieces that come, out of "IOTSZJL".
        overflow: if true, full rows are removed first, and the game is over if the pile then reaches above the board;
            if false, the game is over as soon as a piece does.
        avoid_end: whether placements that end the game are allowed only if all do.
        max_steps: the usual time limit, in pieces. The papers have none: a good policy places hundreds of thousands.

    Raises:
        ValueError: if there are no such boards, features or pieces.

    >>> import jax, jaxes
    >>> env = jaxes.envs.make("jaxes/tetris", height=10)
    >>> state = env.step(env.reset(jax.random.key(0)), 0)
    >>> state.observation["features"].shape, int(state.physics.time)
    ((34, 22), 1)
    """
    for name, value, low, high in (("width", width, CELLS, 32), ("height", height, CELLS, ROWS - CELLS)):
        checks.integer(f"{name} of a Tetris board", value, low, high)
    if not isinstance(pieces, str) or not pieces or len(set(pieces)) < len(pieces) or set(pieces) - set(NAMES):
        raise ValueError(f"pieces must be different ones of {''.join(NAMES)}, got {pieces!r}")
    checks.count("max_steps", max_steps)
    described = FEATURES[checks.choice("Tetris features", features, FEATURES)]
    columns, bottoms, rows, exists = map(jnp.asarray, table(width, pieces))

    def see(key, time, lines, board) -> Game:
        piece = jax.random.randint(jax.random.fold_in(key, time.astype(jnp.uint32)), (), 0, len(pieces), jnp.int32)
        return Game(key, time, lines, board, piece, place(board, columns[piece], bottoms[piece]))

    def over(after: Afterstates, piece_rows) -> Any:
        reached = jnp.max(heights(after.boards), axis=0) if overflow else after.landing + piece_rows
        return reached > height

    def moment(game: Game, reward, done) -> EnvState:
        after, piece_rows = game.after, rows[game.piece]
        allowed = exists[game.piece]
        if avoid_end:
            safe = allowed & ~over(after, piece_rows)
            allowed = jnp.where(jnp.any(safe), safe, allowed)
        observation = {"features": described.of(after, piece_rows, height), "allowed": allowed}
        return EnvState(game, observation, reward, done)

    def reset(key):
        empty = jnp.zeros(width, jnp.uint32)
        return moment(see(key, jnp.int32(0), jnp.int32(0), empty), jnp.float32(0), jnp.bool_(False))

    def step(state, action):
        before = state.physics
        taken = Afterstates(*(x[..., action] for x in before.after))
        done = over(taken, rows[before.piece, action])
        game = see(before.key, before.time + 1, before.lines + taken.lines, taken.boards)
        return moment(game, taken.lines.astype(jnp.float32), done)

    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    return Env(
        "jaxes/tetris",
        reset,
        step,
        shape,
        Discrete(exists.shape[1]),
        max_steps,
        step_seconds=0.1,
        frames=lambda moments, **size: frames(moments, pieces, width, height, **size),
    )
