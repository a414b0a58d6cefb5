"""Policies: what reads observations and gives actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxes.envs.protocol import Env
from jaxes.rl.policies import heads
from jaxes.rl.policies.modules import network


class Policy(NamedTuple):
    """What acts: pure functions of one member's parameters and one observation."""

    init: Callable[[jax.Array], Any]  # (key) -> params
    act: Callable[..., tuple[jax.Array, Any]]
    """(params, memory, observation, key=None) -> (action, memory). Without a key the actions have no noise, as in
    evaluation."""
    start: Callable[[Any], Any] = lambda params: ()  # (params) -> memory, at the beginning of every episode
    random: bool = False  # whether act draws with its key: then a rollout hands out keys


def policy(module: Any, env: Env, *, head: str = "tanh", action_noise: float = 0.0, reference: Any = None) -> Policy:
    """The policy that a Flax module is: observation -> float[outputs of the head].

    Args:
        module: a linen or nnx module, called with one observation (no batch axis); its variables must all be
            parameters. One with `initialize_carry` is recurrent, as Flax's own cells are: called with (carry,
            observation), it returns (carry, output). An nnx module brings its parameters, which `init` gives whatever
            the key; a function (nnx.Rngs) -> module has them drawn.
        env: gives the observation's shape, or a tree of them, and the action's range.
        head: "tanh", "clip", "bins:COUNT", "bins:VALUE,VALUE,...", "gaussian", "categorical" or "categorical:sample",
            see `jaxes.rl.policies.heads`.
        action_noise: standard deviation of Gaussian noise on vector actions, in training only.
        reference: for a linen module with `VirtualBatchNorm`: observations as the module will see them, leaves
            [size, ...]. Those of `jaxes.rl.reference_batch` are raw, and go with `rollout(..., normalize=False)`.

    Raises:
        ValueError: if the module has other variables, or its carry changes shape, or its output does not fit the head;
            for a linen module at `init`.

    >>> import flax.linen as nn, jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> actor = rl.policy(nn.GRUCell(features=1), env, head="clip")
    >>> params = actor.init(jax.random.key(0))
    >>> actor.start(params).carry
    Array([0.], dtype=float32)
    """
    chosen = heads.noisy(heads.head(env, head), env, action_noise)
    net = network(module, env, reference)

    def init(key):
        params = net.init(key)
        jax.eval_shape(lambda params, observation: act(params, net.start(params), observation), params, env.observation)
        return params

    def act(params, memory, observation, key=None):
        out, memory = net.call(params, memory, observation)
        shape = getattr(out, "shape", None)
        if shape != (chosen.outputs,):
            got = f"a {type(out).__name__}" if shape is None else shape
            raise ValueError(f"module must return shape ({chosen.outputs},) for head {head!r} on {env.name}, got {got}")
        return chosen.act(out, key), memory

    return Policy(init, act, net.start, chosen.random)
