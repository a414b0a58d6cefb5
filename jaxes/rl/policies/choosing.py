"""Policies for environments that say what each choice leads to: the choice of the highest value is taken."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Discrete, Env
from jaxes.rl.policies.networks import ACTIVATIONS, kernels
from jaxes.rl.policies.policy import Policy, policy
from jaxes.support import checks


class Values(nn.Module):
    """One network for all choices: float32[k, f] to a value each; what is not allowed has the lowest there is.

    No bias after the last layer: it would raise all values alike.
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
    """Value every choice by what it leads to, and take the best; the first of several that are equally good.

    Args:
        env: with `Discrete` actions and observations `{"features": float32[k, f], "allowed": bool[k]}`, such as
            jaxes/tetris.
        hidden: sizes of the hidden layers; () for a linear value, `features @ weights`.
        head: "categorical", or "categorical:sample" to draw by the values as logits in training.
        activation: "tanh", "relu", "elu" or "silu".
        last_scale: of the last layer's initial weights; 0 to begin with a value of 0 for all.
        initialization: "lecun" or "normc", see `jaxes.rl.policies.networks`.
        action_noise: 0, as choices take none.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/tetris")
    >>> rl.values(env, last_scale=0.0).init(jax.random.key(0))["params"]["Dense_0"]["kernel"].shape
    (22, 1)
    """
    if not describes_choices(env):
        raise ValueError(
            "values needs choices, and observations {'features': float32[choices, f], 'allowed': bool[choices]}, such "
            f"as those of jaxes/tetris; {env.name} has {env.observation} and {env.action}"
        )
    checks.listed("activation", activation, ACTIVATIONS)
    module = Values(tuple(hidden), ACTIVATIONS[activation], last_scale, initialization)
    return policy(module, env, head=head, action_noise=action_noise)


def describes_choices(env: Env) -> bool:
    """Whether observations are `{"features": float32[choices, f], "allowed": bool[choices]}`."""
    seen: Any = env.observation
    if not isinstance(env.action, Discrete) or not isinstance(seen, dict) or set(seen) != {"features", "allowed"}:
        return False
    return seen["allowed"].shape == seen["features"].shape[:-1] == (env.action.n,)
