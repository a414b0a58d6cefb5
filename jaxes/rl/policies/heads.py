"""Action heads: from a network's output to an action that the environment accepts.

A head is chosen by its name ("tanh", "clip", "bins:10", "bins:-1,0,1", "gaussian", "categorical",
"categorical:sample"). It knows how many outputs it needs. A random head draws in training only, where it is given a
key.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs import contract
from jaxes.envs.protocol import Box, Discrete, Env, MultiDiscrete, action_size
from jaxes.support import checks


class Head(NamedTuple):
    """How actions are read from a network's output."""

    outputs: int  # how many the network must have
    act: Callable[[jax.Array, jax.Array | None], jax.Array]  # (float[outputs], key or None) -> action
    random: bool = False  # whether `act` draws when it is given a key


def tanh(env: Env) -> Head:
    """`tanh` of the output, stretched to the action's range."""
    low, high = _limited_box(env, "tanh")
    return Head(low.size, lambda y, key=None: _stretch(jnp.tanh(y), low, high).reshape(low.shape))


def clip(env: Env) -> Head:
    """The output itself, clipped to the action's range."""
    low, high = _box(env, "clip")
    return Head(low.size, lambda y, key=None: _cut(y.reshape(low.shape), low, high))


def bins(env: Env, count: int) -> Head:
    """For each dimension of the action, that of `count` values evenly spaced over its range which scores highest.

    It is "uniform:10" of OpenAI's code; Salimans et al. 2017 use 10 bins for Hopper and Swimmer.
    """
    low, high = _limited_box(env, "bins")
    checks.integer("bins", count, 2)

    def act(y, key=None):
        best = jnp.argmax(y.reshape(low.size, count), axis=1).astype(y.dtype)
        return _stretch(best * (2 / (count - 1)) - 1, low, high).reshape(low.shape)

    return Head(low.size * count, act)


def custom_bins(env: Env, values: Sequence[float]) -> Head:
    """For each dimension of the action, that of the `values` which scores highest.

    It is "custom:-1,0,1" of OpenAI's code.
    """
    low, high = _box(env, "bins")
    values = tuple(map(float, values))
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise ValueError(f"bins must be two or more finite values, got {values}")
    least, most = low.max(), high.min()
    if min(values) < least or max(values) > most:
        raise ValueError(
            f"bins must lie within the limits of all actions of {env.name}, {least:g} to {most:g}; got {values}"
        )

    def act(y, key=None):
        best = jnp.argmax(y.reshape(low.size, len(values)), axis=1)
        return jnp.asarray(values, y.dtype)[best].reshape(low.shape)

    return Head(low.size * len(values), act)


def gaussian(env: Env) -> Head:
    """A draw from a Gaussian in training, and its mean in evaluation, both clipped to the action's range.

    The first half of the output is the mean and the second half the logarithm of the standard deviation.
    """
    low, high = _box(env, "gaussian")

    def act(y, key=None):
        mean, log_std = y.reshape(2, *low.shape)
        noise = 0 if key is None else jnp.exp(log_std) * jax.random.normal(key, low.shape, y.dtype)
        return _cut(mean + noise, low, high)

    return Head(2 * low.size, act, random=True)


def categorical(env: Env, sample: bool = False) -> Head:
    """The choice that scores highest; for vectors of choices, each number's own.

    Args:
        env: gives the number of choices.
        sample: in training draw a choice instead, with the outputs as logits.
    """
    if isinstance(env.action, Box):
        raise ValueError(
            f"head 'categorical' needs discrete actions; {env.name} has vectors: use 'tanh', 'clip' or 'bins:10'"
        )

    def choose(y, key):
        choice = jax.random.categorical(key, y) if sample and key is not None else jnp.argmax(y)
        return choice.astype(jnp.int32)

    if isinstance(env.action, Discrete):
        return Head(env.action.n, lambda y, key=None: choose(y, key), random=sample)
    counts = env.action.counts
    ends = np.cumsum(counts)[:-1].tolist()

    def act(y, key=None):
        keys = [None] * len(counts) if key is None else jax.random.split(key, len(counts))
        return jnp.stack([choose(part, own) for part, own in zip(jnp.split(y, ends), keys, strict=True)])

    return Head(sum(counts), act, random=sample)


def noisy(head: Head, env: Env, std: float) -> Head:
    """The same head with Gaussian noise on its actions in training; the sum is clipped to the action's range.

    Args:
        head: gives vector actions.
        env: gives their range.
        std: standard deviation of the noise, in units of the action (`ac_noise_std` of OpenAI's code: 0.01); with 0 the
            head stays as it is.
    """
    checks.real("action_noise", std, "of 0 or more", lambda x: 0 <= x < math.inf)
    if std == 0:
        return head
    if not isinstance(env.action, Box):
        raise ValueError(f"action_noise needs vector actions; {env.name} has {_choices(env)}: leave it at 0")
    low, high = env.action.low, env.action.high

    def act(y, key=None):
        if key is None:
            return head.act(y, None)
        first, second = jax.random.split(key)
        action = head.act(y, first)
        return _cut(action + std * jax.random.normal(second, action.shape, action.dtype), low, high)

    return Head(head.outputs, act, random=True)


def usual(env: Env) -> str:
    """The name of the head for the actions of an environment, where none is asked for."""
    return "tanh" if isinstance(env.action, Box) else "categorical"


def head(env: Env, name: str | None = None) -> Head:
    """The head of this name, see the top of the module; None: "tanh" for vectors, "categorical" for choices.

    >>> import jaxes
    >>> head(jaxes.envs.make("jaxes/cartpole_swingup"), "bins:5").outputs
    5
    >>> head(jaxes.envs.make("jaxes/CyclicMDP")).outputs
    3
    """
    contract.fields(env)
    if name is None:
        name = usual(env)
    if not isinstance(name, str):
        raise TypeError(f"head must be a name such as 'tanh', got {name!r}")
    kind, _, rest = name.partition(":")
    if kind == "bins" and rest.isascii() and rest.isdigit():
        return bins(env, int(rest))
    if kind == "bins" and "," in rest:
        try:
            values = tuple(map(float, rest.split(",")))
        except ValueError:
            values = None
        if values is not None:
            return custom_bins(env, values)
    if name not in _PLAIN:
        raise ValueError(
            "head must be 'tanh', 'clip', 'bins:COUNT' (as in 'bins:10'), 'bins:VALUE,VALUE,...' (as in 'bins:-1,0,1')"
            f", 'gaussian', 'categorical' or 'categorical:sample', got {name!r}"
        )
    return _PLAIN[name](env)


_PLAIN: dict[str, Callable[[Env], Head]] = {
    "tanh": tanh,
    "clip": clip,
    "gaussian": gaussian,
    "categorical": categorical,
    "categorical:sample": lambda env: categorical(env, sample=True),
}


def _box(env: Env, name: str):
    if not isinstance(env.action, Box):
        raise ValueError(f"head {name!r} needs vector actions; {env.name} has {_choices(env)}: use 'categorical'")
    return env.action.low, env.action.high


def _choices(env: Env) -> str:
    several = isinstance(env.action, MultiDiscrete)
    return f"vectors of {action_size(env)} choices" if several else f"{action_size(env)} choices"


def _limited_box(env: Env, name: str):
    low, high = _box(env, name)
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ValueError(f"head {name!r} needs actions with finite limits; {env.name} has some without: use 'clip'")
    return low, high


def _cut(action: jax.Array, low, high) -> jax.Array:
    return jnp.clip(action, low.astype(action.dtype), high.astype(action.dtype))


def _stretch(y: jax.Array, low, high) -> jax.Array:
    """Map [-1, 1] to [low, high]."""
    middle, half = (high + low) / 2, (high - low) / 2
    y = y.reshape(low.shape)
    return middle.astype(y.dtype) + half.astype(y.dtype) * y
