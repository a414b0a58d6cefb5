"""The environment itself as the model to plan with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxes.envs import contract
from jaxes.envs.protocol import Box, Env, EnvState


def simulator(env: Env) -> tuple[Callable[..., EnvState], Callable[..., jax.Array]]:
    """The model of an environment that is the environment itself, for `jaxes.planning.cem_mpc`.

    Args:
        env: must run in compiled programs, and its actions must be vectors.

    Returns:
        `model_step(state, action) -> state` and `reward(state, action, next state) -> float32[]`, where states are
        `EnvState`s. After the end of an episode every reward is 0.

    Raises:
        ValueError: if actions are choices, or the environment runs in Python processes.

    >>> import jax, jax.numpy as jnp, jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> step, reward = jaxes.planning.simulator(env)
    >>> before, action = env.reset(jax.random.key(0)), jnp.ones(1)
    >>> reward(before, action, step(before, action)).shape
    ()
    """
    env = contract.checked(env)
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
