"""An environment of your own: a sled on ice is to stop at a flag. Two pure functions and their shapes will do.

The command line trains it too, in this folder: `jaxes train own_environment:sled --seconds 20`
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl
from jaxes.envs import Box, Env, EnvState


def see(position, speed, reward) -> EnvState:
    observation = jnp.stack([position, speed])
    return EnvState((position, speed), observation, reward, done=jnp.abs(position) > 5)


def reset(key):
    return see(jax.random.uniform(key, minval=-2.0, maxval=2.0), jnp.float32(0), jnp.float32(0))


def step(state, action):
    position, speed = state.physics
    speed = speed + 0.1 * action[0]
    position = position + 0.1 * speed
    return see(position, speed, jnp.exp(-(position**2) - speed**2))


limit = np.ones(1, np.float32)
observation = jax.eval_shape(reset, jax.random.key(0)).observation
sled = Env("own/sled", reset, step, observation, action=Box(-limit, limit), max_steps=200)

if __name__ == "__main__":
    policy = rl.mlp(sled, hidden=(8,))
    strategy, params = jaxes.open_es(64, sigma=0.1, learning_rate=0.1), policy.init(jax.random.key(0))
    for report in jaxes.fit(strategy, rl.rollout(sled, policy), params, key=jax.random.key(1), generations=12):
        print(f"generation {report.generation}: {report.info.mean:.1f} of 200")
