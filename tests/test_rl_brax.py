"""A policy learns on real physics."""

import functools

import brax_envs
import jax
import numpy as np

import jaxes
from jaxes import rl


@functools.cache
def trained():
    """Twenty-four generations of a small open_es on the inverted pendulum: (infos, problem state)."""
    env, _, _ = brax_envs.made("inverted_pendulum")
    policy = rl.mlp(env, hidden=(8,))
    problem = rl.rollout(env, policy, max_steps=100)
    strategy = jaxes.open_es(32, 0.2, learning_rate=0.1)
    start = (strategy.init(jax.random.key(0), policy.init(jax.random.key(1))), problem.init(jax.random.key(2)))
    run = jax.jit(lambda carry: jax.lax.scan(jaxes.generation(strategy, problem), carry, length=24))
    (_, state), infos = run(start)
    return infos, state


def test_a_policy_learns():
    infos, _ = trained()
    first, last = float(np.mean(infos.mean[:2])), float(np.mean(infos.mean[-2:]))
    assert last > 4 * first, (first, last)


def test_its_counts():
    infos, state = trained()
    assert int(state.episodes) == 24 * 32
    # One point of reward a step.
    np.testing.assert_allclose(int(state.steps), 32 * float(np.sum(infos.mean)), rtol=0.02)
    assert int(state.truncated) > 0 and int(state.normalizer.count) == int(state.steps)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.normalizer))
