"""MuJoCo Playground behind the protocol; its import alone takes up to half a minute."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.envs import action_size, observation_size
from jaxes.envs.suites import playground as adapter
from jaxes.envs.suites.foreign import foreign
from jaxes.envs.suites.mujoco_tools import quiet


@pytest.mark.parametrize("impl", ["jaxx", ""])
def test_unknown_impl(impl):
    with pytest.raises(ValueError, match=f"unknown Playground impl '{impl}'; (did you mean jax|known: jax, warp)"):
        jaxes.envs.make("playground/CheetahRun", impl=impl)


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_playground", None)
    message = r"playground is not installed .*: pip install .*playground.* \(the extra 'playground' of jaxes\)"
    with pytest.raises(ImportError, match=message):
        jaxes.envs.make("playground/CheetahRun")


@pytest.fixture(scope="module")
def registry():
    with foreign(), quiet():
        return pytest.importorskip("mujoco_playground").registry


@functools.cache
def cartpole():
    """(env, jitted reset, jitted step)"""
    env = jaxes.envs.make("playground/CartpoleBalance")
    return env, jax.jit(env.reset), jax.jit(env.step)


@pytest.mark.slow
@pytest.mark.parametrize("name", adapter.MAX_STEPS)
def test_every_environment_is_what_the_tables_say(name, registry):
    types = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)
    env = jaxes.envs.make(f"playground/{name}")
    state = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(env.step, state, jax.ShapeDtypeStruct(env.action.low.shape, jnp.float32))
    assert types(after) == types(state)
    assert state.observation.shape == env.observation.shape
    assert state.observation.dtype == state.reward.dtype == jnp.float32 and state.done.dtype == bool
    assert (observation_size(env), action_size(env)) == adapter.SIZES[name]
    assert env.max_steps == adapter.MAX_STEPS[name] and 0.01 <= env.step_seconds <= 0.04
    assert (env.action.low == -1).all() and (env.action.high == 1).all()


@pytest.mark.slow
def test_no_environment_of_the_control_suite_is_missing(registry):
    from mujoco_playground import dm_control_suite

    assert set(adapter.MAX_STEPS) == set(adapter.SIZES) == set(dm_control_suite.ALL_ENVS)


@pytest.mark.slow
def test_the_steps_are_those_of_playground(registry):
    env, reset, step = cartpole()
    with foreign():
        own = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})
        theirs = jax.jit(own.reset)(jax.random.key(3))
        their_step = jax.jit(own.step)
    state = reset(jax.random.key(3))
    for t in range(30):
        np.testing.assert_allclose(state.observation, theirs.obs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.reward, theirs.reward, rtol=1e-4, atol=1e-5)
        assert not state.done
        action = jnp.sin(0.5 * t + jnp.arange(1.0))
        state = step(state, action)
        with foreign():
            theirs = their_step(theirs, action)
    assert step._cache_size() == 1, "one program serves the first and all later steps"
    again = step(reset(jax.random.key(3)), jnp.ones(1))
    np.testing.assert_array_equal(again.observation, step(reset(jax.random.key(3)), jnp.ones(1)).observation)
    assert env.step_seconds == pytest.approx(0.01)


@pytest.mark.slow
def test_it_is_done_only_where_the_physics_is_nan_and_stays_so(registry):
    _, reset, step = cartpole()
    state = reset(jax.random.key(0))
    broken = state.physics.data.replace(qvel=jnp.full_like(state.physics.data.qvel, jnp.nan))
    state = step(state._replace(physics=state.physics.replace(data=broken)), jnp.ones(1))
    assert state.done
    assert step(state, jnp.ones(1)).done, "not reset"


@pytest.mark.slow
def test_lanes_are_like_single_environments(registry):
    env, reset, step = cartpole()
    keys = jax.random.split(jax.random.key(7), 3)
    lanes = jax.jit(jax.vmap(env.step, in_axes=(0, None)))(jax.jit(jax.vmap(env.reset))(keys), jnp.ones(1))
    for i, key in enumerate(keys):
        one = step(reset(key), jnp.ones(1))
        np.testing.assert_allclose(lanes.observation[i], one.observation, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_pictures(registry):
    env, reset, step = cartpole()
    state = reset(jax.random.key(0))
    moments = [jax.device_get(state.physics)]
    for _ in range(20):
        state = step(state, jnp.ones(1))
    first, last = env.frames([*moments, jax.device_get(state.physics)], 120, 160)
    assert first.shape == (120, 160, 3) and first.dtype == np.uint8
    assert not np.array_equal(first, last)


@pytest.mark.slow
def test_options_reach_playground(registry):
    assert jaxes.envs.make("playground/CartpoleBalance", ctrl_dt=0.02).step_seconds == pytest.approx(0.02)
    with pytest.raises(ValueError, match="unknown option of playground/CartpoleBalance 'ctrl_d'; did you mean ctrl_dt"):
        jaxes.envs.make("playground/CartpoleBalance", ctrl_d=0.02)


@pytest.mark.slow
def test_both_implementations_move_alike(registry):
    ends = []
    for impl in adapter.IMPLEMENTATIONS:
        env = jaxes.envs.make("playground/CartpoleBalance", impl=impl)
        lanes = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 4))
        step = jax.jit(jax.vmap(env.step, in_axes=(0, None)))
        for _ in range(5):
            lanes = step(lanes, jnp.ones(1))
        ends.append(lanes)
    np.testing.assert_allclose(ends[0].observation, ends[1].observation, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ends[0].reward, ends[1].reward, rtol=1e-4)
