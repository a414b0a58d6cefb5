"""Policies for environments that describe what each choice leads to: they take the choice of the highest value."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxes.envs import contract
from jaxes.envs.protocol import Discrete, Env
from jaxes.rl.policies.networks import ACTIVATIONS, kernels
from jaxes.rl.policies.policy import Policy, policy
from jaxes.support import checks


class Values(nn.Module):
    """One network that values every choice: from features float32[k, f] to float32[k].

    Choices that are not allowed get the lowest number there is. The last layer has no bias, because it would raise all
    values alike.
    """

    hidden: Sequence[int] = ()
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    last_scale: float | None = None  # see kernels
    initialization: str = "lecun"

    @nn.compact
    def __call__(self, observation: dict[str, jax.Array]) -> jax.Array:
        if observation["allowed"].dtype != jnp.bool_:
            raise ValueError("values needs observations as they are: use jaxes.rl.rollout(..., normalize=False)")
        first, last = kernels(self.initialization, self.last_scale)
        x = observation["features"]
        for size in self.hidden:
            x = self.activation(nn.Dense(size, kernel_init=first)(x))
        values = nn.Dense(1, use_bias=False, kernel_init=last)(x)[:, 0]
        return jnp.where(observation["allowed"], values, jnp.finfo(values.dtype).min)


def values(
    env: Env,
    hidden: Sequence[int] = (),
    head: str = "categorical",
    *,
    activation: str = "tanh",
    last_scale: float | None = None,
    initialization: str = "lecun",
    action_noise: float = 0.0,
) -> Policy:
    """A policy that values every choice by what it leads to, and takes the best (of several, the first).

    Args:
        env: has `Discrete` actions and observations `{"features": float32[k, f], "allowed": bool[k]}`, as jaxes/tetris
            does.
        hidden: sizes of the hidden layers; () for linear values, `features @ weights`.
        head: "categorical", or "categorical:sample" to draw the choice in training with the values as logits.
        activation: "tanh", "relu", "elu" or "silu".
        last_scale: scale of the last layer's initial weights; 0 to begin with the value 0 for every choice.
        initialization: "lecun" or "normc", see `jaxes.rl.policies.networks`.
        action_noise: must be 0: choices take no noise.

    Raises:
        ValueError: if the environment does not describe its choices, or a setting is unknown.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/tetris")
    >>> rl.values(env, last_scale=0.0).init(jax.random.key(0))["params"]["Dense_0"]["kernel"].shape
    (22, 1)
    """
    contract.fields(env)
    if not describes_choices(env):
        raise ValueError(
            "values needs choices, and observations {'features': float32[choices, f], 'allowed': bool[choices]}, such "
            f"as those of jaxes/tetris; {env.name} has {env.observation} and {env.action}"
        )
    checks.one_of("activation", activation, ACTIVATIONS)
    module = Values(tuple(hidden), ACTIVATIONS[activation], last_scale, initialization)
    return policy(module, env, head=head, action_noise=action_noise)


def describes_choices(env: Env) -> bool:
    """Whether observations are `{"features": float32[choices, f], "allowed": bool[choices]}`."""
    seen: Any = env.observation
    if not isinstance(env.action, Discrete) or not isinstance(seen, dict) or set(seen) != {"features", "allowed"}:
        return False
    return seen["allowed"].shape == seen["features"].shape[:-1] == (env.action.n,)
