"""EnvPool: its environments, one for each episode, so that a seed decides an episode."""

import sys

import numpy as np
import pytest

import jaxes


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(ImportError, match=r"pip install .*\(the extra 'envpool' of jaxes\)"):
        jaxes.envs.make("envpool/BipedalWalker-v3")


def test_an_episode_depends_on_its_seed_alone():
    envpool = pytest.importorskip("envpool")
    env = jaxes.envs.make("envpool/BipedalWalker-v3")
    assert (env.observation.shape, env.action.low.shape, env.max_steps) == ((24,), (4,), 1600)
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 1, 4)).astype(np.float32)

    def played(lanes, lane, seed):
        lanes.reset(lane, seed)
        rewards = [lanes.step(np.array([lane]), action)[0][0] for action in actions]
        return rewards, lanes.observations[lane].tolist()

    lanes = env.lanes(2)
    first = played(lanes, 0, 5)
    played(lanes, 1, 6)
    assert played(lanes, 1, 5) == first
    assert played(lanes, 0, 6) != first
    # The package's own way.
    theirs = envpool.make("BipedalWalker-v3", env_type="gymnasium", num_envs=1, num_threads=1, seed=5)
    theirs.reset()
    assert [float(theirs.step(action)[1][0]) for action in actions] == first[0]


def test_episodes_end():
    pytest.importorskip("envpool")
    env = jaxes.envs.make("envpool/CartPole-v1")
    lanes = env.lanes(1)
    lanes.reset(0, 1)
    ends = [lanes.step(np.array([0]), np.array([1]))[1][0] for _ in range(12)]
    assert ends.index(True) in range(6, 12)
    assert len(env.film(1, [np.int32(1)] * 4, 2)) == 3


def test_what_it_does_not_know_is_refused():
    pytest.importorskip("envpool")
    with pytest.raises(ValueError, match="unknown EnvPool environment 'BipedalWaker-v3'; did you mean BipedalWalker"):
        jaxes.envs.make("envpool/BipedalWaker-v3")
