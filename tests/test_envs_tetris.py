"""Tetris against a plain array of cells, and as an environment."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import plain_tetris
import pytest

import jaxes
from jaxes import rl
from jaxes.envs import Discrete, tetris

SIZES = [(10, 20), (7, 12), (10, 10)]  # width, height
KINDS = {"bertsekas": plain_tetris.bertsekas, "dellacherie": plain_tetris.dellacherie, "bcts": plain_tetris.bcts}


def words(board):
    """uint32[width] of bool[rows, width]."""
    return (board.astype(np.uint64) << np.arange(len(board), dtype=np.uint64)[:, None]).sum(0).astype(np.uint32)


def cells(columns, rows):
    """bool[rows, width] of uint32[width]."""
    return (np.asarray(columns, np.uint64)[None] >> np.arange(rows, dtype=np.uint64)[:, None]) & np.uint64(1) > 0


def boards(count, width, height, seed=0):
    """Random ones, bool[count, height + 4, width]: of every density and height, with rows that lack one cell."""
    draw = np.random.default_rng(seed)
    out = np.zeros((count, height + plain_tetris.ROOM, width), bool)
    for board in out:
        top = draw.integers(0, height + 1)
        board[:top] = draw.random((top, width)) < draw.choice([0.3, 0.6, 0.9])
        for r in draw.choice(height, 6):
            if r < top:
                board[r] = True
                board[r, draw.integers(width)] = draw.random() < 0.1
        board[board.all(axis=1)] = False  # no row is full before a move
    return out


@functools.cache
def outcomes(width, height):
    """What all placements of all pieces make of many boards."""
    table = tetris.table(width)

    @jax.jit
    def each(board):
        one = lambda columns, bottoms, rows: (
            (after := tetris.place(board, columns, bottoms)),
            {name: tetris.FEATURES[name].of(after, rows, height) for name in KINDS},
        )
        return jax.vmap(one)(jnp.asarray(table.columns), jnp.asarray(table.bottoms), jnp.asarray(table.heights))

    return jax.jit(jax.vmap(each))


@pytest.mark.parametrize(
    "width, height, count",
    [*((*size, 6) for size in SIZES[:2]), *(pytest.param(*size, 700, marks=pytest.mark.slow) for size in SIZES)],
)
def test_every_placement_on_random_boards(width, height, count):
    """The boards after it, the rows removed, and all features, cell by cell."""
    table, sample = tetris.table(width), boards(count, width, height, seed=height)
    after, features = jax.device_get(outcomes(width, height)(jnp.array([words(board) for board in sample])))
    compared = 0
    for b, board in enumerate(sample):
        for p, name in enumerate(tetris.NAMES):
            wanted = plain_tetris.placements(board, name)
            ways = np.flatnonzero(table.exists[p])
            assert len(ways) == len(wanted), "all that there are, and none twice"
            for k in ways:
                landing = after.landing[b, p, k]
                put = cells(table.columns[p, :, k].astype(np.uint64) << np.uint64(landing), len(board))
                outcome = wanted.pop(put.tobytes())
                assert np.array_equal(cells(after.boards[b, p, :, k], len(board)), outcome[0])
                assert (after.lines[b, p, k], landing, after.cells[b, p, k]) == (outcome[1], outcome[2], outcome[4])
                for kind, plain in KINDS.items():
                    assert features[kind][b, p, k].tolist() == plain(outcome, height), kind
                compared += 1
    assert compared == count * table.exists.sum()


# --- as an environment ----------------------------------------------------------------------------------------------


@functools.cache
def made(**options):
    env = jaxes.envs.make("jaxes/tetris", **options)
    return env, jax.jit(env.reset), jax.jit(env.step)


def test_a_game_step_by_step():
    """The board, the rows, the choices and the end, beside the plain board, until the game is over."""
    _, reset, step = made(height=6)
    draw = np.random.default_rng(0)
    state = reset(jax.random.key(1))
    board, lines = np.zeros((6 + plain_tetris.ROOM, 10), bool), 0
    for time in range(200):
        game = state.physics
        assert (game.time, game.lines) == (time, lines)
        assert np.array_equal(cells(game.board, len(board)), board)
        wanted = plain_tetris.placements(board, tetris.NAMES[int(game.piece)])
        ends = {put: plain_tetris.column_heights(outcome[0]).max() > 6 for put, outcome in wanted.items()}
        allowed = np.flatnonzero(state.observation["allowed"])
        assert len(allowed) == (len(wanted) - sum(ends.values()) or len(wanted)), "what ends the game is avoided"
        action = draw.choice(allowed)
        table = tetris.table(10)
        landing = np.uint64(game.after.landing[action])
        put = cells(table.columns[int(game.piece), :, action].astype(np.uint64) << landing, len(board)).tobytes()
        board, gained = wanted[put][0], wanted[put][1]
        lines += gained
        state = step(state, action)
        assert state.reward == gained and bool(state.done) == ends[put]
        if state.done:
            break
    assert state.done and time > 5


def test_rows_that_are_filled_above_the_board():
    """Four rows of five are filled by a piece that reaches above the board: gone, or the end of the game."""
    board = np.ones((5, 10), bool)
    board[:, 0] = False
    board[0] = [True] + 9 * [False]
    for overflow in (True, False):
        env = jaxes.envs.make("jaxes/tetris", height=4, pieces="I", overflow=overflow)
        state = env.reset(jax.random.key(0))
        table = tetris.table(10, "I")
        after = tetris.place(jnp.asarray(words(board)), jnp.asarray(table.columns[0]), jnp.asarray(table.bottoms[0]))
        state = state._replace(physics=state.physics._replace(after=after))
        upright = int(np.flatnonzero(table.heights[0] == 4)[0])
        then = env.step(state, upright)
        assert then.reward == 4 and bool(then.done) == (not overflow)


def test_pieces_are_equally_likely_and_come_from_the_key():
    _, reset, _ = made()
    starts = jax.jit(jax.vmap(reset))(jax.random.split(jax.random.key(0), 2000))
    counts = np.bincount(starts.physics.piece, minlength=7)
    assert ((counts > 220) & (counts < 350)).all()
    np.testing.assert_array_equal(reset(jax.random.key(3)).physics.piece, reset(jax.random.key(3)).physics.piece)


def test_sizes():
    env, _, _ = made()
    assert env.action == Discrete(34) and env.observation["features"].shape == (34, 22)
    count = {name: len(ways) for name, ways in zip(tetris.NAMES, map(np.flatnonzero, tetris.table(10).exists))}
    assert count == {"I": 17, "O": 9, "T": 34, "S": 17, "Z": 17, "J": 34, "L": 34}
    for name, size in (("dellacherie", 6), ("bcts", 8)):
        assert jaxes.envs.make("jaxes/tetris", features=name).observation["features"].shape == (34, size)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"height": 3}, "height of a Tetris board must be an int from 4 to 28, got 3"),
        ({"height": 29}, "height of a Tetris board must be an int from 4 to 28, got 29"),
        ({"width": 3}, "width of a Tetris board must be an int from 4 to 32, got 3"),
        ({"width": 10.0}, "width of a Tetris board must be an int"),
        ({"features": "bertseka"}, "unknown Tetris features 'bertseka'; did you mean bertsekas"),
        ({"pieces": "IX"}, "pieces must be different ones of IOTSZJL, got 'IX'"),
        ({"pieces": ""}, "pieces must be different ones"),
        ({"max_steps": 0}, "max_steps must be an int of 1 or more"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        jaxes.envs.make("jaxes/tetris", **options)


def test_pictures():
    env, reset, step = made(height=6)
    state, moments = reset(jax.random.key(1)), []
    for _ in range(6):
        moments.append(jax.device_get(state.physics))
        state = step(state, np.flatnonzero(state.observation["allowed"])[-1])
    pictures = env.frames(moments)
    assert len(pictures) == 6 and pictures[0].dtype == np.uint8 and pictures[0].shape == pictures[5].shape
    assert all(size % 2 == 0 for size in pictures[0].shape[:2]), "as MP4 wants them"
    colors = {tuple(color) for color in pictures[5].reshape(-1, 3)}
    assert len(colors) > 6, "cells keep the color of their piece"
    assert (200, 200, 200) not in colors, "no cell of unknown origin"
    assert (200, 200, 200) in {tuple(color) for color in env.frames(moments[3:])[0].reshape(-1, 3)}


def test_gymnasium_plays_it_too():
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("jaxes.envs.as_gymnasium:jaxes/tetris-v0", render_mode="rgb_array", height=10)
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    _, reward, ended, _, _ = env.step(int(np.flatnonzero(seen["allowed"])[0]))
    assert reward == 0 and not ended and env.render().ndim == 3


# --- learning -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def player():
    """(environment, policy, parameters of 0)"""
    env = jaxes.envs.make("jaxes/tetris", height=10, max_steps=80)
    policy = rl.values(env)
    zeros = jax.tree.map(jnp.zeros_like, policy.init(jax.random.key(0)))
    return env, policy, zeros


def test_cross_entropy_learns(player):
    """Szita and Lorincz's setting on a small board: games on lanes, which take the next member."""
    env, policy, zeros = player
    problem = rl.rollout(env, policy, normalize=False, seeds="independent", lanes=8, mode="refill")
    strategy = jaxes.cem(40, 10.0, variance_noise=4.0)
    generation = jaxes.generation(strategy, problem)
    carry = (strategy.init(jax.random.key(1), zeros), problem.init(jax.random.key(2)))
    (state, lanes), infos = jax.jit(lambda carry: jax.lax.scan(generation, carry, length=8))(carry)
    assert infos.mean[0] < 3 < 12 < infos.mean[-1]
    assert 0 < int(lanes.truncated) < int(lanes.episodes) == 8 * 40, "capped games are marked"
    assert jnp.abs(state.mean["params"]["Dense_0"]["kernel"]).max() > 1


@pytest.mark.parametrize("cap", [50.0, 1e9])
def test_the_mean_of_games_without_a_cap(cap):
    lives = np.random.default_rng(0).exponential(100.0, 4000)
    cut = jnp.asarray(lives > cap, jnp.int32)
    returns = jnp.asarray(np.minimum(lives, cap), jnp.float32)
    mean, error = rl.uncapped_mean(rl.Episodes(returns, cut, jnp.ones_like(cut), cut, jnp.uint32(0), ()))
    assert abs(mean - 100) < 3 * error and error == pytest.approx(100 / np.sqrt((1 - cut).sum()), rel=0.1)


def test_values_takes_the_best_that_is_allowed(player):
    env, policy, zeros = player
    params = jax.tree.map(lambda x: x.at[1].set(1.0), zeros)
    features = jnp.zeros((34, 22)).at[:, 1].set(jnp.arange(34.0))
    allowed = jnp.arange(34) % 10 == 3
    action, _ = policy.act(params, (), {"features": features, "allowed": allowed})
    assert action == 33
    action, _ = policy.act(zeros, (), {"features": features, "allowed": allowed})
    assert action == 3, "the first of equals"
    deep = rl.values(env, hidden=(4,))
    assert deep.init(jax.random.key(0))["params"]["Dense_1"]["kernel"].shape == (4, 1)


def test_values_needs_described_choices_as_they_are(player):
    other = jaxes.envs.make("jaxes/CyclicMDP")
    with pytest.raises(ValueError, match=r"values needs choices, and observations \{'features'.*jaxes/CyclicMDP has"):
        rl.values(other)
    env, policy, zeros = player
    strategy, problem = jaxes.cem(4), rl.rollout(env, policy)
    carry = strategy.init(jax.random.key(0), zeros), problem.init(jax.random.key(1))
    with pytest.raises(ValueError, match=r"values needs observations as they are: use .*normalize=False"):
        jax.eval_shape(jaxes.generation(strategy, problem), carry)
    with pytest.raises(ValueError, match=r"mlp needs vector observations, got .* of jaxes/tetris; use values"):
        rl.mlp(player[0], head="categorical")
