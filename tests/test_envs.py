"""The protocol, the registry, and Brax behind them."""

import importlib.util
import subprocess
import sys

import brax_envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock

import jaxes
from jaxes.envs import Box, Discrete, action_size, observation_size, own
from jaxes.envs.suites import brax as adapter
from jaxes.envs.suites.foreign import foreign

NAMES = list(adapter.MAX_STEPS)
COMBINATIONS = [(n, b) for n in NAMES for b in adapter._BACKENDS_OF.get(n, adapter.BACKENDS)]


# --- protocol and registry ------------------------------------------------------------------------------------------


def test_sizes_of_the_protocol():
    env = clock(nested=True)
    assert observation_size(env) == 2 and action_size(env) == 1
    assert action_size(env._replace(action=Discrete(5))) == 5
    assert action_size(env._replace(action=Box(np.zeros((2, 3)), np.ones((2, 3))))) == 6


def test_names():
    assert set(jaxes.envs.names()) >= {f"brax/{name}" for name in NAMES}


@pytest.mark.parametrize(
    "name, message",
    [
        ("brax/hoper", "unknown environment 'brax/hoper'; did you mean brax/hopper"),
        ("hopper", "did you mean brax/hopper"),
        ("brax/", "unknown environment"),
        ("Qqq", "unknown environment 'Qqq'; known: "),
        ("mujoco/Hoper-v5", "unknown environment 'mujoco/Hoper-v5'.*mujoco/Hopper-v5"),
        ("gymnasium/Cartpole-v1", "gymnasium has no environment 'Cartpole-v1'.*CartPole"),
        ("gymnasium/CartPole-v7", "gymnasium has no environment 'CartPole-v7'"),
        ("gymnasium/Nothing", "gymnasium has no environment 'Nothing'"),
        ("gymnasium/nowhere:Nothing-v0", "gymnasium/nowhere:Nothing-v0 needs the module 'nowhere', and there is none"),
        ("gymnasium/:CartPole-v1", "gymnasium/:CartPole-v1 needs the module '', and there is none here"),
        ("gymnasium/registered:Nothing-v0", "gymnasium has no environment 'Nothing-v0'"),
    ],
)
def test_unknown_environment(name, message):
    if name.startswith("gymnasium/"):
        pytest.importorskip("gymnasium")
    with pytest.raises(ValueError, match=message):
        jaxes.envs.make(name)


@pytest.mark.parametrize("backend", ["springs", "warp", ""])
def test_unknown_backend(backend):
    with pytest.raises(
        ValueError, match=f"unknown Brax backend '{backend}'; (did you mean spring|known: spring, generalized)"
    ):
        jaxes.envs.make("brax/hopper", backend=backend)


@pytest.mark.parametrize("backend", ["spring", "positional"])
def test_backend_that_swimmer_does_not_have(backend):
    with pytest.raises(ValueError, match=f"must be one of generalized, mjx for brax/swimmer, got '{backend}'"):
        jaxes.envs.make("brax/swimmer", backend=backend)


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "brax", None)
    with pytest.raises(ImportError, match=r"brax is not installed .*: pip install brax"):
        jaxes.envs.make("brax/hopper")


def test_every_suite_has_its_tables_without_its_package():
    """In a process of its own: listing imports none of the packages, makes nothing, and is quick."""
    code = (
        "import sys, jaxes; rows = jaxes.envs.listing(); print(len(rows));"
        "print(sorted({'brax', 'mujoco', 'gymnax', 'mujoco_playground', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == [str(len(jaxes.envs.names())), "[]"]
    for row in jaxes.envs.listing():
        assert row.observation >= 1 and row.max_steps >= 1
        assert isinstance(row.action, Discrete) or row.action >= 1


def test_what_is_missing_is_listed(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gymnax" else found(name))
    missing = {row.name.split("/")[0]: row.extra for row in jaxes.envs.listing()}
    assert missing["gymnax"] == "gymnax" and missing["brax"] is None


@pytest.mark.parametrize("name", own.OWN)
def test_our_own_are_what_their_table_says(name):
    env = jaxes.envs.make(f"jaxes/{name}")
    state = jax.eval_shape(env.reset, jax.random.key(0))
    action = jnp.int32(0) if isinstance(env.action, Discrete) else jnp.zeros(env.action.low.shape)
    types = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)
    assert types(jax.eval_shape(env.step, state, action)) == types(state)
    size = env.action if isinstance(env.action, Discrete) else action_size(env)
    assert (observation_size(env), size, env.max_steps) == own.OWN[name][1:]


# --- Brax -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_brax_environment_traces(name, monkeypatch):
    """make, reset and step; the physics is only ever traced, never run."""
    with foreign():
        from brax.generalized import pipeline as generalized
        from brax.spring import pipeline as spring
    for module in (generalized, spring):
        only_traced(monkeypatch, module)
    env = jaxes.envs.make(f"brax/{name}")
    state = jax.eval_shape(env.reset, jax.random.key(0))
    action = jax.ShapeDtypeStruct(env.action.low.shape, jnp.float32)
    after = jax.eval_shape(env.step, state, action)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    assert (observation_size(env), action_size(env)) == adapter.SIZES[name]
    assert state.observation.dtype == state.reward.dtype == jnp.float32 and state.done.dtype == bool
    assert state.observation.shape == env.observation.shape
    assert env.max_steps == adapter.MAX_STEPS[name] and 0.008 <= env.step_seconds <= 0.06
    assert (env.action.low == -1).all() and (env.action.high == 1).all()


def only_traced(monkeypatch, module):
    init = module.init

    def checked(system, q, qd, *rest):
        assert isinstance(q, jax.core.Tracer), "an un-jitted reset"
        return init(system, q, qd, *rest)

    monkeypatch.setattr(module, "init", checked)


def test_options_reach_brax():
    env = jaxes.envs.make("brax/hopper", exclude_current_positions_from_observation=False)
    assert env.observation.shape == (12,)


def test_raw_semantics_equal_brax():
    """Done where Brax says so, no reset afterwards, the same numbers as Brax's own step for the same actions."""
    env, reset, step = brax_envs.made("hopper")
    theirs = brax_envs.brax_env("hopper", "spring")
    key = jax.random.key(3)
    mine = state = reset(key)
    with foreign():
        their_step = jax.jit(theirs.step)
    physics, ends = state.physics, []
    for t in range(50):
        action = jnp.sin(jnp.arange(3.0) + 0.3 * t)
        mine = step(mine, action)
        with foreign():
            physics = their_step(physics, action)
        ends.append(bool(mine.done))
        assert ends[-1] == bool(physics.done)
        np.testing.assert_allclose(mine.observation, physics.obs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(mine.reward, physics.reward, rtol=1e-4, atol=1e-4)
    assert ends.count(True) > 5, "fallen, and not reset"
    assert env.step_seconds == pytest.approx(0.008)


def test_step_leaves_its_argument_alone():
    _, reset, step = brax_envs.made("hopper")
    state = reset(jax.random.key(0))
    before = jax.tree.map(np.array, state)
    step(state, jnp.ones(3))
    jax.tree.map(np.testing.assert_array_equal, before, state)


def test_resets_differ_by_key():
    _, reset, _ = brax_envs.made("hopper")
    one, two, again = (reset(jax.random.key(i)).observation for i in (0, 1, 0))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, again)


def test_swimmer_swims():
    """Brax 0.14.2 calls `clip(a_min=)`, which JAX has no longer."""
    env = jaxes.envs.make("brax/swimmer")
    roll = jax.jit(
        lambda key: jax.lax.scan(
            lambda state, t: (lambda new: (new, new.reward))(env.step(state, jnp.sin(0.3 * t + jnp.array([0.0, 2.0])))),
            env.reset(key),
            jnp.arange(20.0),
        )
    )
    state, rewards = roll(jax.random.key(0))
    assert brax_envs.finite((state.observation, rewards)) and not state.done
    assert np.abs(rewards).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name, backend", COMBINATIONS)
def test_every_environment_on_every_backend(name, backend):
    env, reset, step = brax_envs.made(name, backend)
    state = reset(jax.random.key(0))
    for t in range(3):
        state = step(state, jnp.full(env.action.low.shape, 0.1 * t))
    assert brax_envs.finite((state.observation, state.reward))
    assert state.observation.shape == env.observation.shape
    brax_envs.made.cache_clear()


def test_packages_see_the_devices_of_their_own_process(monkeypatch):
    """Among several processes the first device belongs to one of them; MuJoCo's JAX port would put its model there."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "local_devices", lambda *, backend=None: [f"mine, {backend}"])
    every = jax.devices
    with foreign():
        assert jax.devices() == ["mine, None"] and jax.devices("cpu") == ["mine, cpu"]
    assert jax.devices is every
