"""Small environments, policies and problems whose numbers are known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes.envs import Box, Env, EnvState
from jaxes.rl import Policy
from jaxes.support.counter import Counter


def sphere() -> jaxes.Problem:
    """Maximize -|x|^2 over {"x": float[n]}; counts one step an evaluation."""

    def evaluate(state, key, ask, ids):
        fitness = jax.vmap(lambda member: -jnp.sum(member["x"] ** 2))(ask())
        return fitness, jnp.uint32(ids.shape[0])

    return jaxes.Problem(
        init=lambda key: Counter.zero(),
        evaluate=evaluate,
        update=lambda state, sums: state.plus(sums),
        counters=lambda state: {"steps": state},
    )


def chase(max_steps: int = 20) -> Env:
    """A point on a line is rewarded for being near its target; the episode ends where it strays too far."""

    def see(x, target, reward):
        return EnvState((x, target), jnp.stack([x, target]), reward, jnp.abs(x) > 3)

    def reset(key):
        target = jax.random.uniform(key, (), minval=-1, maxval=1)
        return see(jnp.float32(0), target, jnp.float32(0))

    def step(state, action):
        x, target = state.physics
        x = x + 0.5 * action[0]
        return see(x, target, 1 - jnp.abs(x - target))

    limit = np.ones(1, np.float32)
    return Env("toys/chase", reset, step, jax.ShapeDtypeStruct((2,), jnp.float32), Box(-limit, limit), max_steps)


class Clock(NamedTuple):
    time: jax.Array  # int32[]: steps done
    life: jax.Array  # int32[]: steps until the episode is done
    start: jax.Array  # float32[]: drawn at the reset


def clock(*, life=(3, 30), poison=False, offset=0.0, max_steps=40, nested=False):
    """An episode lasts between `life[0]` and `life[1]` steps (drawn at the reset; None: for ever).

    The reward is `1 + start * action` and the observation [time, start] + offset. With `poison`, rewards are 1e9 and
    observations NaN once the episode is done.
    """

    def state_of(physics, action):
        over = physics.time > physics.life
        reward = jnp.where(poison & over, 1e9, 1 + physics.start * action[0])
        observation = jnp.stack([physics.time.astype(jnp.float32), physics.start]) + offset
        observation = jnp.where(poison & (physics.time >= physics.life), jnp.nan, observation)
        if nested:
            observation = {"time": observation[:1], "start": observation[1]}
        return EnvState(physics, observation, reward.astype(jnp.float32), physics.time == physics.life)

    def reset(key):
        low, high = (10**6, 10**6) if life is None else life
        ends = jax.random.randint(key, (), low, high + 1, jnp.int32)
        physics = Clock(jnp.int32(0), ends, jax.random.uniform(jax.random.fold_in(key, 1)))
        return state_of(physics, jnp.zeros(1))

    def step(state, action):
        return state_of(state.physics._replace(time=state.physics.time + 1), action)

    shape = jax.eval_shape(reset, jax.random.key(0)).observation
    limit = np.ones(1, np.float32)
    return Env("tests/clock", reset, step, shape, Box(-limit, limit), max_steps)


def linear():
    """The action is `tanh(params @ observation)`; params float32[2]."""
    flat = lambda tree: jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(tree)])
    return Policy(
        init=lambda key: jax.random.normal(key, (2,)),
        act=lambda params, memory, seen, key=None: (jnp.tanh(jnp.sum(params * flat(seen), keepdims=True)), memory),
    )


def played(env, policy, params, key, max_steps, see=lambda observation: observation):
    """One episode, step by step in Python: (return, length, truncated, the observations acted upon)."""
    reset, step, act = jax.jit(env.reset), jax.jit(env.step), jax.jit(policy.act)
    state, memory, total, seen = reset(key), policy.start(params), np.float32(0), []
    for _ in range(max_steps):
        seen.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.observation)]))
        action, memory = act(params, memory, see(state.observation))
        state = step(state, action)
        total += np.float32(state.reward)
        if state.done:
            break
    return total, len(seen), not bool(state.done), np.array(seen)
