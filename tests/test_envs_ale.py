"""Atari: the pictures of ale-py's vector environment, episodes that their seeds decide, and clear errors."""

import sys

import jax
import numpy as np
import pytest

import jaxes
from jaxes import rl
from jaxes.envs import Discrete
from jaxes.envs.suites import ale

pytest.importorskip("ale_py")
pytest.importorskip("gymnasium")


@pytest.fixture(scope="module")
def pong():
    return jaxes.envs.make("ale/Pong-v5")


def test_pictures_and_points_are_those_of_ale_py(pong):
    from ale_py.vector_env import AtariVectorEnv

    lanes, seeds = pong.lanes(2), [3, 4]
    theirs = [AtariVectorEnv("pong", 1, noop_max=0, use_fire_reset=False, reward_clipping=False) for _ in seeds]
    random, points = np.random.default_rng(0), np.zeros(2)
    for lane, seed in enumerate(seeds):
        lanes.reset(lane, seed)
        theirs[lane].reset()
        for _ in range(ale._begin(seed, 30)[1]):
            theirs[lane].step(np.zeros(1, int))
    for t in range(1000):
        stepped = np.arange(2) if t % 3 else np.array([t % 2])  # lanes are independent of each other
        actions = random.integers(6, size=len(stepped)).astype(np.int32)
        rewards, done = lanes.step(stepped, actions)
        for k, lane in enumerate(stepped):
            picture, reward, ended, _, _ = theirs[lane].step(actions[k : k + 1])
            np.testing.assert_array_equal(lanes.observations[lane], np.moveaxis(picture[0], 0, -1), err_msg=f"{t}")
            assert (rewards[k], done[k]) == (reward[0], ended[0])
            points[lane] += reward[0]
            if ended[0]:
                lanes.reset(lane, 30 + t)
                theirs[lane].reset()
                for _ in range(ale._begin(30 + t, 30)[1]):
                    theirs[lane].step(np.zeros(1, int))
    assert (points < -10).all()


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_an_episode_depends_on_its_seed_alone(sticky):
    env = jaxes.envs.make("ale/Breakout-v5", repeat_action_probability=sticky, no_ops=10)
    actions = np.random.default_rng(1).integers(env.action.n, size=(40, 1))

    def seen(lanes, seed):
        lanes.reset(0, seed)
        pictures = []
        for action in actions:
            lanes.step(np.zeros(1, int), action)
            pictures.append(lanes.observations[0].copy())
        return np.array(pictures)

    once, other = env.lanes(1), env.lanes(2)
    first = seen(once, 7)
    seen(other, 1)
    np.testing.assert_array_equal(seen(other, 7), first)
    assert (seen(once, 8) != first).any()


def test_the_list_tells_what_there_is():
    rows = {row.name: row for row in jaxes.envs.listing()}
    for name in ("ale/Pong-v5", "ale/Freeway-v5", "ale/UpNDown-v5"):
        env, row = jaxes.envs.make(name), rows[name]
        assert (env.action, env.max_steps) == (row.action, row.max_steps)
        assert (env.observation.shape, env.observation.dtype) == ((84, 84, 4), np.uint8)
    assert sum(name.startswith("ale/") for name in rows) == 51  # games of Salimans et al. 2017, Table 2


def test_settings_of_the_game():
    env = jaxes.envs.make("ale/Pong-v5", frame_skip=2, stack=1, full_action_space=True)
    assert (env.observation.shape, env.action, env.max_steps) == ((84, 84, 1), Discrete(18), 54_000)
    assert env.step_seconds == pytest.approx(1 / 30)


def test_a_film_shows_the_episode_that_was_played(pong):
    lanes, actions = pong.lanes(1), np.random.default_rng(2).integers(6, size=60)
    lanes.reset(0, 5)
    for action in actions:
        lanes.step(np.zeros(1, int), np.array([action]))
    frames = pong.film(5, list(actions), 20)
    assert len(frames) == 4 and frames[0].shape == (210, 160, 3)
    gray = frames[-1] @ np.array([0.299, 0.587, 0.114])
    small = gray.reshape(42, 5, 160).mean(axis=1)  # coarse pictures: the paddles and the ball stand alike
    seen = lanes.observations[0, :, :, -1].astype(float).reshape(42, 2, 84).mean(axis=1)
    wide = np.stack([np.interp(np.linspace(0, 83, 160), np.arange(84), row) for row in seen])
    assert np.abs(small - wide).mean() < 3


def test_a_convolutional_policy_learns_from_pictures(pong):
    """Virtual batch normalization by a reference batch, as Salimans et al. 2017 play Atari."""
    reference = rl.reference_batch(pong, jax.random.key(0), size=4, steps=6)
    assert (reference.shape, reference.dtype) == ((4, 84, 84, 4), np.uint8)
    assert (np.ptp(np.asarray(reference), axis=0) > 0).any()
    policy = rl.cnn(pong, "a3c", "categorical", hidden=(8,), reference=reference)
    problem = rl.rollout(pong, policy, max_steps=3, normalize=False, workers=0, lanes=4)
    strategy = jaxes.open_es(4, 0.05)
    carry = strategy.init(jax.random.key(1), policy.init(jax.random.key(2))), problem.init(jax.random.key(3))
    (_, state), info = jaxes.generation(strategy, problem)(carry)
    assert (int(state.steps), int(info.invalid)) == (12, 0)


def test_a_policy_for_vectors_is_refused(pong):
    with pytest.raises(ValueError, match=r"mlp needs vector observations, got .*84, 84, 4.* of ale/Pong-v5"):
        rl.mlp(pong, head="categorical")


def test_errors_say_what_is_missing(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"unknown Atari game 'Pong'; did you mean Pong-v5"):
        jaxes.envs.make("ale/Pong")
    with pytest.raises(ValueError, match="no_ops must be an int of 0 or more, got -1"):
        jaxes.envs.make("ale/Pong-v5", no_ops=-1)
    with pytest.raises(ValueError, match=r"repeat_action_probability must be in \[0, 1\), got 1"):
        jaxes.envs.make("ale/Pong-v5", repeat_action_probability=1)
    with monkeypatch.context() as change:
        change.setenv("ALE_ROMS_DIR", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"needs the ROM pong\.bin, which is missing.*unset ALE_ROMS_DIR"):
            jaxes.envs.make("ale/Pong-v5")
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(ImportError, match=r"pip install .*\(the extra 'ale' of jaxes\)"):
        jaxes.envs.make("ale/Pong-v5")
