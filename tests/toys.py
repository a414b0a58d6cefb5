"""Small environments and problems whose numbers are known."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes.counter import Counter
from jaxes.envs import Box, Env, EnvState


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
