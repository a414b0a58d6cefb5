"""Gymnax behind the protocol."""

import functools
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.envs import Discrete, action_size, drawings, observation_size
from jaxes.envs.suites import gymnax as adapter
from jaxes.envs.suites.foreign import foreign

gymnax = pytest.importorskip("gymnax")

FEW = ["CartPole-v1", "Pendulum-v1", "Breakout-MinAtar"]


@functools.cache
def made(name):
    """(env, jitted reset, jitted step)"""
    env = jaxes.envs.make(f"gymnax/{name}")
    return env, jax.jit(env.reset), jax.jit(env.step)


def theirs(name):
    with foreign():
        return gymnax.make(name)


def action(env, t):
    """Some action for step t."""
    if isinstance(env.action, Discrete):
        return jnp.int32(t % env.action.n)
    return jnp.full(env.action.low.shape, np.sin(t) * env.action.high[0], jnp.float32)


def types(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


@pytest.fixture
def images(monkeypatch):
    """In place of the download of MNISTBandit."""
    from gymnax.utils import load_mnist

    data = np.zeros((10, 28, 28), np.int8), np.arange(10, dtype=np.uint8)
    monkeypatch.setattr(load_mnist, "load_mnist", lambda: (data, data))


@pytest.mark.parametrize("name", adapter.MAX_STEPS)
def test_every_environment_is_what_the_tables_say(name, images):
    env = jaxes.envs.make(f"gymnax/{name}")
    state = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(env.step, state, jax.eval_shape(lambda: action(env, 0)))
    assert types(after) == types(state)
    assert (state.observation.shape, state.observation.dtype) == (env.observation.shape, env.observation.dtype)
    assert state.reward.dtype == jnp.float32 and state.done.dtype == bool
    assert state.reward.shape == state.done.shape == ()
    choices = env.action if isinstance(env.action, Discrete) else action_size(env)
    assert (observation_size(env), choices) == adapter.SIZES[name]
    assert env.max_steps == adapter.MAX_STEPS[name]


def test_no_environment_is_missing():
    assert set(adapter.MAX_STEPS) == set(adapter.SIZES) == set(gymnax.registered_envs)


@pytest.mark.parametrize("name", FEW)
def test_the_steps_are_those_of_gymnax(name):
    """The same numbers as gymnax's own auto-resetting step until the first end, and no reset after it."""
    env, reset, step = made(name)
    own, params = theirs(name)
    key = jax.random.key(5)
    state = reset(key)
    with foreign():
        observation, inner = own.reset(jax.random.split(key)[0], params)
    np.testing.assert_array_equal(state.observation, observation)
    for t in range(100):
        with foreign():  # none of these draws anything in a step, so any key will do
            _, inner, reward, terminated, truncated, info = own.step(key, inner, action(env, t), params)
        state = step(state, action(env, t))
        assert bool(state.done) == bool(terminated) and not truncated
        np.testing.assert_allclose(state.reward, reward, rtol=1e-6)
        np.testing.assert_allclose(state.observation, info["final_observation"], rtol=1e-5, atol=1e-6)
        if state.done:
            break
    assert bool(state.done) == (name != "Pendulum-v1")
    for later in range(t + 1, t + 4):
        state = step(state, action(env, later))
        assert int(state.physics.state.time) == later + 1, "not reset"


def test_the_time_limit_is_not_an_end():
    env, reset, _ = made("Pendulum-v1")
    state = reset(jax.random.key(0))
    end = jax.jit(lambda state: jax.lax.fori_loop(0, 250, lambda t, s: env.step(s, jnp.zeros(1)), state))(state)
    assert int(end.physics.state.time) == 250 > env.max_steps and not end.done


def test_randomness_of_the_steps_comes_from_the_key_of_the_reset():
    env = jaxes.envs.make("gymnax/FourRooms-misc")
    own, params = theirs("FourRooms-misc")
    reset, step = jax.jit(env.reset), jax.jit(env.step)

    def walk(key):
        state, seen = reset(key), []
        for t in range(30):
            state = step(state, jnp.int32(t % 4))
            seen.append(np.asarray(state.observation))
        return np.array(seen)

    def by_hand(key):
        start, later = jax.random.split(key)
        with foreign():
            (_, state), seen = own.reset_env(start, params), []
            draw = jax.jit(own.step_env)
            for t in range(30):
                observation, state, *_ = draw(jax.random.fold_in(later, t), state, jnp.int32(t % 4), params)
                seen.append(np.asarray(observation))
        return np.array(seen)

    one, two, again = walk(jax.random.key(0)), walk(jax.random.key(1)), walk(jax.random.key(0))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, by_hand(jax.random.key(0)))


@pytest.mark.parametrize("name", FEW)
def test_lanes_are_like_single_environments(name):
    env, reset, step = made(name)
    keys = jax.random.split(jax.random.key(7), 3)
    lanes = jax.jit(jax.vmap(env.reset))(keys)
    lanes = jax.jit(jax.vmap(env.step, in_axes=(0, None)))(lanes, action(env, 1))
    for i, key in enumerate(keys):
        one = step(reset(key), action(env, 1))
        np.testing.assert_allclose(lanes.observation[i], one.observation, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(lanes.reward[i], one.reward, rtol=1e-6)


def test_one_program_serves_all_steps():
    env, reset, _ = made("Breakout-MinAtar")
    step = jax.jit(chex.assert_max_traces(env.step, n=1))
    state = reset(jax.random.key(0))
    for t in range(3):
        state = step(state, action(env, t))


def test_options_reach_gymnax():
    env = jaxes.envs.make("gymnax/DeepSea-bsuite", size=5)
    assert env.observation.shape == (5, 5) and env.max_steps == 5
    with pytest.raises(TypeError, match="options must be those of gymnax/CartPole-v1, got backend: "):
        jaxes.envs.make("gymnax/CartPole-v1", backend="spring")


def test_limits_of_actions():
    assert made("CartPole-v1")[0].action == Discrete(2)
    low, high = made("Pendulum-v1")[0].action
    assert low.tolist() == [-2] and high.tolist() == [2] and low.dtype == np.float32


@pytest.mark.parametrize("missing", ["gymnax", "six"])
def test_missing_package(missing, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "gymnax"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"gymnax is not installed .*: pip install .*\(the extra 'gymnax' of jaxes\)"):
        jaxes.envs.make("gymnax/CartPole-v1")


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*drawings.CLASSIC, "Breakout-MinAtar", "Seaquest-MinAtar"])
def test_pictures(name):
    env, reset, step = made(name)
    state = reset(jax.random.key(0))
    moments = [jax.device_get(state.physics)]
    for t in range(10):
        state = step(state, action(env, t))
    first, last = env.frames([*moments, jax.device_get(state.physics)])
    assert first.dtype == np.uint8 and first.shape == ((360, 360, 3) if "MinAtar" in name else (360, 480, 3))
    assert not np.array_equal(first, last)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 2


def test_what_has_no_picture_says_so():
    assert jaxes.envs.make("gymnax/Reacher-misc").frames is None


def test_a_grid_shows_the_earlier_channel():
    cells = np.zeros((2, 3, 2))
    cells[0, 0] = 1, 1
    cells[1, 2, 1] = 1
    picture = drawings.grid(cells, 9, 100)
    assert picture.shape == (8, 12, 3)
    assert picture[0, 0].tolist() == drawings.PALETTE[0].tolist()
    assert picture[7, 11].tolist() == drawings.PALETTE[1].tolist()
    assert picture[0, 11].tolist() == list(drawings.BACKGROUND)
