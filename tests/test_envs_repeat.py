"""Actions that last for several steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import clock

from jaxes.envs import repeated


def by_hand(env, state, action, times):
    """(state, sum of rewards): plain steps until `times` or done."""
    total, step = np.float32(0), jax.jit(env.step)
    for _ in range(times):
        if state.done:
            break
        state = step(state, action)
        total += np.float32(state.reward)
    return state, total


@pytest.mark.parametrize("times", [2, 3, 7])
def test_a_step_is_several(times):
    env = clock(life=(10, 10), poison=True)
    skipping = repeated(env, times)
    mine = plain = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(skipping.step)
    for t in range(-(-10 // times)):
        action = jnp.full(1, 0.1 * t)
        mine = step(mine, action)
        plain, total = by_hand(env, plain, action, times)
        np.testing.assert_allclose(mine.reward, total, rtol=1e-6)
        jax.tree.map(np.testing.assert_array_equal, mine._replace(reward=0), plain._replace(reward=0))
    assert mine.done and int(mine.physics.time) == 10, "stopped at done, within a step"
    after = step(mine, action)
    assert after.done and after.reward == 0 and int(after.physics.time) == 10


def test_lanes_end_each_at_its_own_time():
    env = clock(life=(3, 30), poison=True)
    skipping = repeated(env, 4)
    keys = jax.random.split(jax.random.key(1), 8)
    start = jax.jit(jax.vmap(env.reset))(keys)
    step = jax.vmap(skipping.step, in_axes=(0, None))
    end = jax.jit(lambda start: jax.lax.fori_loop(0, 8, lambda _, lanes: step(lanes, jnp.zeros(1)), start))(start)
    assert end.done.all()
    np.testing.assert_array_equal(end.physics.time, start.physics.life)


def test_what_it_declares():
    env = clock(max_steps=40)._replace(step_seconds=0.02)
    skipping = repeated(env, 3)
    assert skipping.max_steps == 14
    assert skipping.step_seconds == pytest.approx(0.06)
    assert skipping.observation is env.observation and skipping.action is env.action
    assert skipping.name == "tests/clock x3"
    assert repeated(env, 1) is env


def test_types_stay():
    env = clock()
    skipping = repeated(env, 2)
    state = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(skipping.step, state, jnp.zeros(1))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


@pytest.mark.parametrize("times", [0, -1, 2.0, True, "3", None])
def test_bad_times(times):
    with pytest.raises(ValueError, match=f"times must be an int of 1 or more, got {times!r}"):
        repeated(clock(), times)
