"""Rollouts whose resets and steps are one program for all lanes: devices, modes, environments that cannot be one."""

import functools
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from jax import lax

from jaxes import rl
from jaxes.envs import Box, Env, EnvState

HERE = Path(__file__).parent
KEY = jax.random.key(0)
LIMIT = np.ones(1, np.float32)


def game(env, how, **options):
    """Plays some random policies; returns their fitness, and the sums."""
    policy = rl.mlp(env, (4,))
    problem = rl.rollout(env, policy, lanewise=how, **options)
    members = jax.vmap(policy.init)(jax.random.split(jax.random.key(1), 6))
    ask = lambda ids=None: members if ids is None else jax.tree.map(lambda x: x[ids], members)
    evaluate = lambda state: problem.evaluate(state, jax.random.key(2), ask, jnp.arange(6))
    return functools.partial(evaluate, problem.init(KEY))


def played(*what, **options):
    return jax.jit(game(*what, **options))()


def test_strict_mode_gives_the_same_bits_on_any_number_of_devices():
    where = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent))), "JAX_PLATFORMS": "cpu"}
    where |= {"XLA_FLAGS": "--xla_cpu_max_isa=AVX", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    command = [sys.executable, "-W", "ignore", HERE / "lanewise_spread.py"]
    out = subprocess.run(command, env=where, text=True, capture_output=True, check=True, timeout=300).stdout
    digests = json.loads(out.splitlines()[-1])
    assert list(digests) == ["1", "2", "4", "8"]
    assert len(set(digests.values())) == 1, digests


def test_every_mode_gives_the_same():
    """And what `vmap` gives. The environment draws its length from its key, and is NaN behind its end."""
    env = toys.clock(life=(3, 20), poison=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing falls back
        want, sums = played(env, "on", mode="while", max_steps=20)
        np.testing.assert_allclose(want, played(env, "off", mode="while", max_steps=20)[0], rtol=1e-5)
        for options in ({"mode": "scan"}, {"mode": "refill", "lanes": 4}, {"lanes": 1}):
            got, its = played(env, "on", max_steps=20, **options)
            np.testing.assert_array_equal(got, want)
            assert (int(its.steps), int(its.episodes)) == (int(sums.steps), int(sums.episodes))


def walk(step, extra):
    """An environment on a line whose state has some extra array, which its step changes."""

    def see(x, more, reward):
        return EnvState((x, more), x[None], reward, jnp.abs(x) > 5)

    def reset(key):
        return see(jax.random.uniform(key), extra(key), jnp.float32(0))

    def one(state, action):
        x, more = state.physics
        x, more = step(x + 0.1 * action[0], more)
        return see(x, more, jnp.float32(x))

    return Env("toys/walk", reset, one, jax.ShapeDtypeStruct((1,), jnp.float32), Box(-LIMIT, LIMIT), 12)


def callback(x, more):
    return x, jax.pure_callback(lambda m: m + 1, jax.ShapeDtypeStruct((2,), np.float32), more, vmap_method="sequential")


LONG = jnp.arange(30_000.0)
# The step, what the state has beside its place, and what falls back for which reason; None if nothing does.
HARD = {
    "many elements": (lambda x, m: (x + m[7], m.at[0].add(x)), lambda key: LONG, "an array of 30,000 elements"),
    "callback": (callback, lambda key: jnp.zeros(2), "pure_callback"),
    "other keys": (
        lambda x, k: (x + jax.random.uniform(jax.random.wrap_key_data(k, impl="threefry4x32")), k),
        lambda key: jnp.tile(jax.random.key_data(key), 2),
        "key<fry4>",
    ),
    "sorting": (lambda x, m: (x + jnp.sort(m)[0], m.at[1].set(x)), lambda key: jax.random.uniform(key, (70,)), "sort"),
    "far places": (
        lambda x, i: (x + jnp.sin(jnp.arange(9_000.0))[i], i + 1),
        lambda key: jax.random.randint(key, (), 0, 99),
        "9,000 choices|8,999 choices",
    ),
    "near places": (
        lambda x, m: (x + m[(x * 9).astype(jnp.int32)], m.at[(x * 3).astype(jnp.int32)].mul(0.5)),
        lambda key: jax.random.uniform(key, (12,)),
        None,
    ),
    "keys": (
        lambda x, k: (x + 0.1 * jax.random.normal(k), jax.random.split(k)[0]),
        lambda key: jax.random.fold_in(key, 1),
        None,
    ),
    "integer overflow": (
        lambda x, i: (x + 1e-10 * jnp.float32(i), (i * 48_271 + 2**30) * i),
        lambda key: jnp.int32(2**31 - 1),
        None,
    ),
    "empty arrays": (lambda x, m: (x + m.sum(), m * x), lambda key: jnp.zeros((0, 3)), None),
    "loops without a known end": (
        lambda x, n: (lax.while_loop(lambda y: y > 0.2, lambda y: y * 0.7, x), n + 1),
        lambda key: jnp.int32(0),
        None,
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_whatever_an_environment_does(name):
    """The returns are those of `vmap`; "on" tells what is left to it, once, and "auto" tells nothing."""
    step, extra, reason = HARD[name]
    env = walk(step, extra)
    want, _ = played(env, "off")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        jax.eval_shape(game(env, "auto"))
        assert not told
        got, _ = played(env, "on", lanes=1)
        jax.eval_shape(game(env, "on", lanes=2))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    messages = [str(w.message) for w in told]
    if reason is None:
        assert not told
    else:
        assert 1 <= len(messages) <= 2 and len(set(messages)) == len(messages)  # of the reset, and of the step
        assert re.search(reason, "; ".join(messages))
