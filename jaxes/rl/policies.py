"""Policies: Flax modules that read observations and give actions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxes.envs.protocol import Env
from jaxes.rl import heads


class Policy(NamedTuple):
    """What acts: pure functions of one member's parameters and one observation."""

    init: Callable[[jax.Array], Any]  # (key) -> params
    act: Callable[..., tuple[jax.Array, Any]]
    """(params, memory, observation, key=None) -> (action, memory). Without a key the actions have no noise, as in
    evaluation."""
    start: Callable[[Any], Any] = lambda params: ()  # (params) -> memory, at the beginning of every episode
    random: bool = False  # whether act draws with its key: then a rollout hands out keys


class MLP(nn.Module):
    """A multilayer perceptron: `activation` after every hidden layer, none after the last."""

    features: Sequence[int]
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    last_scale: float = 1.0  # of the last layer's initial weights

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for size in self.features[:-1]:
            x = self.activation(nn.Dense(size)(x))
        last = nn.initializers.variance_scaling(self.last_scale**2, "fan_in", "truncated_normal")
        return nn.Dense(self.features[-1], kernel_init=last)(x)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "elu": nn.elu,
    "silu": nn.silu,
}


def mlp(
    env: Env,
    hidden: Sequence[int] = (64, 64),
    head: str = "tanh",
    *,
    activation: str = "tanh",
    last_scale: float = 1.0,
) -> Policy:
    """A multilayer perceptron for an environment with vector observations.

    Args:
        env: gives the sizes.
        hidden: sizes of the hidden layers; () for a linear policy.
        head: "tanh", "clip", "bins:COUNT" or "categorical", see `jaxes.rl.heads`.
        activation: "tanh", "relu", "elu" or "silu".
        last_scale: standard deviation of the last layer's initial outputs, relative to the usual.

    >>> import jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> actor = rl.mlp(env, hidden=(8,))
    >>> params = actor.init(jax.random.key(0))
    >>> params["params"]["Dense_0"]["kernel"].shape
    (4, 8)
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in hidden):
        raise ValueError(f"hidden must be positive ints, got {tuple(hidden)}")
    if len(getattr(env.observation, "shape", ())) != 1:
        raise ValueError(
            f"mlp needs vector observations, got {env.observation} of {env.name}; give your own module to policy"
        )
    outputs = heads.head(env, head).outputs
    module = MLP((*hidden, outputs), ACTIVATIONS[activation], last_scale)
    return policy(module, env, head=head)


def policy(module: nn.Module, env: Env, *, head: str = "tanh") -> Policy:
    """The policy that a Flax linen module is: observation -> float[outputs of the head].

    Args:
        module: called with one observation (no batch axis); its variables must be all parameters.
        env: gives the observation's shape and the action's range.
        head: "tanh", "clip", "bins:COUNT" or "categorical".

    Raises:
        ValueError: at `init`, if the module has variables that are no parameters, or its output does not fit the head.
    """
    chosen = heads.head(env, head)
    example = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), env.observation)

    def init(key):
        params = module.init(key, example)
        if others := sorted(set(params) - {"params"}):
            raise ValueError(f"module must have parameters only, got the collections {', '.join(others)} too")
        jax.eval_shape(act, params, (), example)
        return params

    def act(params, memory, observation, key=None):
        del key
        out: Any = module.apply(params, observation)
        shape = getattr(out, "shape", None)
        if shape != (chosen.outputs,):
            got = f"a {type(out).__name__}" if shape is None else shape
            raise ValueError(f"module must return shape ({chosen.outputs},) for head {head!r} on {env.name}, got {got}")
        return chosen.act(out), memory

    return Policy(init, act)
