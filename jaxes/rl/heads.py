"""Action heads: from a network's output to an action that the environment accepts.

A head is chosen by name ("tanh", "clip", "bins:10", "categorical") or built here. It knows how many outputs it needs.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Box, Discrete, Env, action_size


class Head(NamedTuple):
    outputs: int  # the network's output size
    act: Callable[[jax.Array], jax.Array]  # float[outputs] -> action


def tanh(env: Env) -> Head:
    """`tanh` of the output, stretched to the action's range."""
    low, high = _limited_box(env, "tanh")
    return Head(low.size, lambda y: _stretch(jnp.tanh(y), low, high).reshape(low.shape))


def clip(env: Env) -> Head:
    """The output itself, cut at the limits of the action's range."""
    low, high = _box(env, "clip")
    return Head(low.size, lambda y: jnp.clip(y.reshape(low.shape), low.astype(y.dtype), high.astype(y.dtype)))


def bins(env: Env, count: int) -> Head:
    """Each action dimension takes the best-scored of `count` values, evenly spaced over its range.

    "uniform:10" of OpenAI's code; Salimans et al. 2017 use 10 bins for Hopper and Swimmer.
    """
    low, high = _limited_box(env, "bins")
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"bins must be an int of 2 or more, got {count!r}")

    def act(y):
        best = jnp.argmax(y.reshape(low.size, count), axis=1).astype(y.dtype)
        return _stretch(best * (2 / (count - 1)) - 1, low, high).reshape(low.shape)

    return Head(low.size * count, act)


def categorical(env: Env) -> Head:
    """The best-scored of the choices of a discrete action."""
    if not isinstance(env.action, Discrete):
        raise ValueError(
            f"head 'categorical' needs discrete actions; {env.name} has vectors: use 'tanh', 'clip' or 'bins:10'"
        )
    return Head(env.action.n, lambda y: jnp.argmax(y).astype(jnp.int32))


def head(env: Env, name: str) -> Head:
    """The head called `name`: "tanh", "clip", "bins:COUNT" or "categorical"."""
    kind, _, count = name.partition(":")
    if kind == "bins" and count.isascii() and count.isdigit():
        return bins(env, int(count))
    if count or kind not in _PLAIN:
        raise ValueError(f"head must be 'tanh', 'clip', 'bins:COUNT' (as in 'bins:10') or 'categorical', got {name!r}")
    return _PLAIN[kind](env)


_PLAIN = {"tanh": tanh, "clip": clip, "categorical": categorical}


def _box(env: Env, name: str):
    if not isinstance(env.action, Box):
        raise ValueError(
            f"head {name!r} needs vector actions; {env.name} has {action_size(env)} choices: use 'categorical'"
        )
    return env.action.low, env.action.high


def _limited_box(env: Env, name: str):
    low, high = _box(env, name)
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ValueError(f"head {name!r} needs actions with finite limits; {env.name} has some without: use 'clip'")
    return low, high


def _stretch(y: jax.Array, low, high) -> jax.Array:
    """[-1, 1] to [low, high]."""
    middle, half = (high + low) / 2, (high - low) / 2
    y = y.reshape(low.shape)
    return middle.astype(y.dtype) + half.astype(y.dtype) * y
