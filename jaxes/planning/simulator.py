"""The true simulator as a model to plan with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Box, Env, EnvState


def simulator(env: Env) -> tuple[Callable[..., EnvState], Callable[..., jax.Array]]:
    """`(model_step, reward)` of an environment, for `jaxes.planning.cem_mpc`; states are its `EnvState`s.

    What comes after an episode's end is worth nothing.

    Raises:
        ValueError: if actions are choices, or the environment runs in Python processes.
    """
    if env.lanes is not None:
        raise ValueError(f"env must run in compiled programs to plan with it, got {env.name}")
    if not isinstance(env.action, Box):
        raise ValueError(f"env must have vector actions, got {env.name} with {env.action}")

    def step(state, action):
        after = env.step(state, action)
        return after._replace(done=after.done | state.done)  # an environment need not remember its end

    def reward(before, action, after):
        del action
        return jnp.where(before.done, 0, after.reward)

    return step, reward
