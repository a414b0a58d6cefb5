"""Policies read observations and give actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxes.envs.protocol import Env
from jaxes.rl.policies import heads
from jaxes.rl.policies.modules import network


class Policy(NamedTuple):
    """How to act: pure functions of one member's parameters and one observation."""

    init: Callable[[jax.Array], Any]  # (key) -> params
    act: Callable[..., tuple[jax.Array, Any]]
    """(params, memory, observation, key=None) -> (action, memory). Without a key, as in evaluation, the actions have no
    noise."""
    start: Callable[[Any], Any] = lambda params: ()  # (params) -> memory, at the beginning of every episode
    random: bool = False  # whether `act` draws with its key; if so, a rollout hands out keys


def checked(policy: Any) -> Policy:
    """Return `policy` if it is one; raise TypeError otherwise."""
    if isinstance(policy, Policy):
        return policy
    kind = type(policy)
    if any(base.__module__.partition(".")[0] == "flax" for base in kind.__mro__):
        hint = f"the Flax module {kind.__name__}: give jaxes.rl.policy(module, env)"
    elif callable(policy):
        hint = f"{getattr(policy, '__name__', kind.__name__)}: give what it returns, or a jaxes.rl.Policy of your own"
    else:
        hint = f"{kind.__name__}: give jaxes.rl.mlp(env) or another one of jaxes.rl"
    raise TypeError(f"policy must be a jaxes.rl.Policy, got {hint}")


def policy(
    module: Any, env: Env, *, head: str | None = None, action_noise: float = 0.0, reference: Any = None
) -> Policy:
    """A policy from any Flax module.

    Args:
        module: a linen or nnx module from one observation (without a batch axis) to float[outputs of the head]. All its
            variables must be parameters. A module with `initialize_carry` is recurrent, as Flax's own cells are: it is
            called with (carry, observation) and returns (carry, output). An nnx module brings its parameters along, and
            `init` gives these for every key; give a function (nnx.Rngs) -> module to have them drawn.
        env: gives the observation's shape, or a tree of shapes, and the action's range.
        head: "tanh", "clip", "bins:COUNT", "bins:VALUE,VALUE,...", "gaussian", "categorical" or "categorical:sample",
            see `jaxes.rl.policies.heads`; by default "tanh", or "categorical" where actions are choices.
        action_noise: standard deviation of Gaussian noise on vector actions, in training only.
        reference: for a linen module with `VirtualBatchNorm`: observations as the module will see them, leaves
            [size, ...]. `jaxes.rl.reference_batch` gives raw ones, to be used with `rollout(..., normalize=False)`.

    Raises:
        ValueError: if the module has variables other than parameters, its carry changes its shape, or its output does
            not fit the head. A linen module is checked at `init`.

    >>> import flax.linen as nn, jax, jaxes
    >>> from jaxes import rl
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> actor = rl.policy(nn.GRUCell(features=1), env, head="clip")
    >>> params = actor.init(jax.random.key(0))
    >>> actor.start(params).carry
    Array([0.], dtype=float32)
    """
    chosen = heads.noisy(heads.head(env, head), env, action_noise)
    name = heads.usual(env) if head is None else head
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
            raise ValueError(f"module must return shape ({chosen.outputs},) for head {name!r} on {env.name}, got {got}")
        return chosen.act(out, key), memory

    return Policy(init, act, net.start, chosen.random)
