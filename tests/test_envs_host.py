"""Environments on CPUs: the same bits as gymnasium's, and clear errors."""

import sys
import warnings

import numpy as np
import pytest

import jaxes
from jaxes import rl
from jaxes.envs import Box, Discrete
from jaxes.envs.suites import mujoco

gymnasium = pytest.importorskip("gymnasium")
mj = pytest.importorskip("mujoco")

STEPS = 1000


def same_as_gymnasium(env, name: str, lanes: int) -> int:
    """Step some lanes and as many environments of `gymnasium.make` by the same actions; episodes that ended."""
    ours, theirs = env.lanes(lanes), [gymnasium.make(name) for _ in range(lanes)]
    space, random = theirs[0].action_space, np.random.default_rng(0)
    seeds = iter(range(10**6))

    def begin(lane):
        seed = next(seeds)
        ours.reset(lane, seed)
        observation, _ = theirs[lane].reset(seed=seed)
        np.testing.assert_array_equal(ours.observations[lane], observation)

    for lane in range(lanes):
        begin(lane)
    ended = 0
    for t in range(STEPS):
        some = random.random(lanes) < 0.9  # lanes are independent of each other
        stepped = np.nonzero(some | ~some.any())[0]
        if isinstance(env.action, Discrete):
            actions = random.integers(env.action.n, size=len(stepped))
        else:
            actions = random.uniform(space.low, space.high, (len(stepped), *space.shape)).astype(np.float32)
        rewards, done = ours.step(stepped, actions)
        for k, lane in enumerate(stepped):
            observation, reward, terminated, truncated, _ = theirs[lane].step(actions[k])
            np.testing.assert_array_equal(ours.observations[lane], observation, err_msg=f"step {t}")
            assert (rewards[k], done[k]) == (reward, terminated)
            if terminated or truncated:
                ended += 1
                begin(lane)
    for one in theirs:
        one.close()
    return ended


@pytest.fixture(autouse=True)
def foreign_warnings():
    """gymnasium and MuJoCo warn of their own accord."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", mujoco.MAX_STEPS)
def test_mujoco_is_bit_for_bit_gymnasium(name):
    env = jaxes.envs.make(f"mujoco/{name}")
    ended = same_as_gymnasium(env, name, lanes=2)
    assert ended or mujoco.MAX_STEPS[name] == STEPS


@pytest.mark.parametrize("name", mujoco.MAX_STEPS)
def test_a_reset_is_gymnasiums_whatever_came_before(name):
    ours, theirs = jaxes.envs.make(f"mujoco/{name}").lanes(2), gymnasium.make(name)
    random, lane = np.random.default_rng(1), np.array([1])
    ours.reset(0, 7)
    elsewhere = ours.observations[0].copy()
    for seed in (0, 1, 2**31, 2**32 - 1, *random.integers(2**32, size=16).tolist()):
        ours.reset(1, seed)
        np.testing.assert_array_equal(ours.observations[1], theirs.reset(seed=seed)[0])
        for _ in range(3):
            action = random.uniform(theirs.action_space.low, theirs.action_space.high).astype(np.float32)
            rewards, _ = ours.step(lane, action[None])
            observation, reward, *_ = theirs.step(action)
            np.testing.assert_array_equal(ours.observations[1], observation)
            assert rewards[0] == reward
    np.testing.assert_array_equal(ours.observations[0], elsewhere)


def test_arrays_that_do_not_lie_together_are_copied(monkeypatch):
    together = jaxes.envs.make("mujoco/Hopper-v5").lanes(2)
    monkeypatch.setattr(mujoco, "KEPT", mujoco.KEPT[::-1])
    apart = jaxes.envs.make("mujoco/Hopper-v5").lanes(2)
    assert not together._apart and len(apart._apart) == 4
    actions = np.random.default_rng(2).uniform(-1, 1, (20, 2, 3))
    for lanes in (together, apart):
        for lane in (0, 1):
            lanes.reset(lane, lane)
    for action in actions:
        ours, theirs = (lanes.step(np.arange(2), action) for lanes in (together, apart))
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(together.observations, apart.observations)


def test_what_cannot_matter_is_turned_off():
    disabled = {}
    for name in ("InvertedPendulum-v5", "HalfCheetah-v5", "Reacher-v5"):
        disabled[name] = jaxes.envs.make(f"mujoco/{name}").lanes(1)._model.opt.disableflags
    island, contact = (int(getattr(mj.mjtDisableBit, f"mjDSBL_{flag}")) for flag in ("ISLAND", "CONTACT"))
    assert disabled == {
        "InvertedPendulum-v5": island | contact,  # none of its geoms collide
        "HalfCheetah-v5": island,
        "Reacher-v5": contact,  # the target is a second tree
    }


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "LunarLander-v3"])
def test_other_ids_are_gymnasium(name):
    assert same_as_gymnasium(jaxes.envs.make(f"gymnasium/{name}"), name, lanes=2)


@pytest.mark.parametrize("suite", ["mujoco", "gymnasium"])
def test_the_list_tells_what_there_is(suite):
    rows = [row for row in jaxes.envs.listing() if row.name.startswith(f"{suite}/")]
    assert len(rows) >= 9
    for row in rows:
        env = jaxes.envs.make(row.name)
        size = env.action if isinstance(env.action, Discrete) else env.action.low.size
        assert (env.observation.shape, size, env.max_steps) == ((row.observation,), row.action, row.max_steps)


def test_shapes_are_those_that_policies_read():
    env = jaxes.envs.make("mujoco/HalfCheetah-v5")
    assert env.observation.dtype == np.float32
    assert isinstance(env.action, Box) and env.action.low.dtype == np.float32
    assert env.step_seconds == pytest.approx(0.05)


def test_options_go_to_gymnasium():
    costly, free = (jaxes.envs.make("mujoco/HalfCheetah-v5", ctrl_cost_weight=w).lanes(1) for w in (10.0, 0.0))
    for lanes in (costly, free):
        lanes.reset(0, 3)
    action = np.ones((1, 6), np.float32)
    gap = free.step(np.array([0]), action)[0] - costly.step(np.array([0]), action)[0]
    np.testing.assert_allclose(gap, 60.0, rtol=1e-6)


def test_an_action_may_be_held():
    once, held = jaxes.envs.make("mujoco/Hopper-v5"), jaxes.envs.repeated(jaxes.envs.make("mujoco/Hopper-v5"), 4)
    assert (held.max_steps, held.step_seconds) == (250, 4 * once.step_seconds)
    lanes, longer = once.lanes(1), held.lanes(1)
    lane, action = np.array([0]), np.full((1, 3), 0.3, np.float32)
    for one in (lanes, longer):
        one.reset(0, 5)
    total = sum(lanes.step(lane, action)[0] for _ in range(4))
    np.testing.assert_array_equal(longer.step(lane, action)[0], total)
    np.testing.assert_array_equal(longer.observations, lanes.observations)


@pytest.mark.parametrize("suite, name", [("mujoco", "Hopper-v5"), ("gymnasium", "CartPole-v1")])
def test_without_the_package_it_says_what_to_install(suite, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=rf"pip install .*\(the extra '{suite}' of jaxes\)"):
        jaxes.envs.make(f"{suite}/{name}")


class Restless(gymnasium.Env):
    """Starts anywhere, whatever the seed."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.random.default_rng().uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}


class Framed(gymnasium.Env):
    """Shows a picture and a vector."""

    observation_space = gymnasium.spaces.Dict(
        {"picture": gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8), "speed": gymnasium.spaces.Box(-1, 1, (2,))}
    )
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample() if seed is None else self.seen(seed), {}

    def step(self, action):
        return self.seen(int(action)), 1.0, False, False, {}

    def seen(self, number):
        return {"picture": np.full((8, 8, 3), number % 256, np.uint8), "speed": np.zeros(2, np.float32)}


gymnasium.register("Restless-v0", Restless)
gymnasium.register("Framed-v0", Framed, max_episode_steps=7)


def test_a_reset_that_ignores_its_seed_is_told():
    with pytest.warns(UserWarning, match="Restless-v0 ignores the seed of its reset"):
        jaxes.envs.make("gymnasium/Restless-v0")


def test_dictionaries_of_boxes_are_trees():
    env = jaxes.envs.make("gymnasium/Framed-v0")
    assert (env.observation["picture"].dtype, env.observation["picture"].shape) == (np.uint8, (8, 8, 3))
    assert env.max_steps == 7
    lanes = env.lanes(2)
    lanes.reset(1, 5)
    lanes.step(np.array([0, 1]), np.array([1, 0]))
    assert lanes.observations["picture"][:, 0, 0, 0].tolist() == [1, 0]
    with pytest.raises(ValueError, match="mlp"):
        rl.mlp(env)


def test_its_functions_do_not_compile():
    env = jaxes.envs.make("gymnasium/CartPole-v1")
    with pytest.raises(TypeError, match=r"gymnasium/CartPole-v1 runs on CPUs.*env\.lanes"):
        env.reset(None)
