"""REINFORCE (Williams 1992), the baseline that learns from actions instead of parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxes.envs import Env


def reinforce(
    env: Env, module: Any, *, episodes: int, learning_rate: float, updates: int, seeds: int, centered: bool
) -> np.ndarray:
    """float[seeds, updates]: the mean return of the episodes of each update, played by the policy before it.

    Args:
        env: with choices for actions.
        module: a linen module, from observations to the logits of the choices.
        episodes: of an update; whole returns are credited to every action of theirs.
        learning_rate: Adam's.
        updates: 1 or more.
        seeds: 1 or more, counted from 0, all in one program.
        centered: take the mean return of the update's episodes off (a baseline).
    """
    tx = optax.adam(learning_rate)

    def play(params, key):
        starts, acts = jax.random.split(key)
        state = jax.vmap(env.reset)(jax.random.split(starts, episodes))

        def step(carry, key):
            state, going = carry
            action = jax.random.categorical(key, module.apply(params, state.observation))
            after = jax.vmap(env.step)(state, action)
            row = state.observation, action, going, jnp.where(going, after.reward, 0)
            return (after, going & ~after.done), row

        carry = state, jnp.ones(episodes, bool)
        return jax.lax.scan(step, carry, jax.random.split(acts, env.max_steps))[1]

    def update(carry, key):
        params, optimizer = carry
        observations, actions, going, rewards = play(params, key)
        returns = jnp.sum(rewards, axis=0)
        credit = (returns - jnp.mean(returns) if centered else returns)[None] * going

        def loss(params):
            chosen = jax.nn.log_softmax(module.apply(params, observations))
            chosen = jnp.take_along_axis(chosen, actions[..., None], axis=-1)[..., 0]
            return -jnp.sum(chosen * credit) * (1 / episodes)

        change, optimizer = tx.update(jax.grad(loss)(params), optimizer, params)
        return (optax.apply_updates(params, change), optimizer), jnp.mean(returns)

    def one(seed):
        first, later = jax.random.split(jax.random.key(seed))
        params = module.init(first, jnp.zeros(env.observation.shape))
        return jax.lax.scan(update, (params, tx.init(params)), jax.random.split(later, updates))[1]

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(seeds)), float)
