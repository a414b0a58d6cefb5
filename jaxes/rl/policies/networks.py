"""Networks that are ready made: linen modules that read one observation."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxes.rl.policies.virtual_batch_norm import VirtualBatchNorm
from jaxes.support import checks

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "elu": nn.elu,
    "silu": nn.silu,
}


def lecun(scale: float = 1.0) -> Callable[..., jax.Array]:
    """Flax's default: a normal distribution, truncated at two standard deviations, of variance scale^2 / inputs."""
    return nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


def normc(scale: float = 1.0) -> Callable[..., jax.Array]:
    """Columns (the weights into one unit) of length `scale` in random directions, as in OpenAI's code.

    >>> import jax, jax.numpy as jnp
    >>> from jaxes.rl.policies.networks import normc
    >>> kernel = normc(2.0)(jax.random.key(0), (64, 2))
    >>> jnp.linalg.norm(kernel, axis=0).round(3).tolist()
    [2.0, 2.0]
    """

    def init(key, shape, dtype=jnp.float32, **_):
        x = jax.random.normal(key, shape, dtype)
        return x * (scale * jax.lax.rsqrt(jnp.sum(x * x, axis=range(len(shape) - 1), keepdims=True)))

    return init


INITIALIZATIONS = {"lecun": (lecun, 1.0), "normc": (normc, 0.01)}
"""By name: the initializer of a kernel as a function of its scale (1 in hidden layers), and the usual scale of the last
layer."""


def kernels(initialization: str, last_scale: float | None = None) -> tuple[Callable[..., jax.Array], ...]:
    """The initializers of the kernels in hidden layers and in the last layer.

    Args:
        initialization: "lecun" or "normc".
        last_scale: scale of the last layer's kernel; by default 1 for lecun and 0.01 for normc.
    """
    make, usual = INITIALIZATIONS[checks.choice("initialization", initialization, INITIALIZATIONS)]
    return make(), make(usual if last_scale is None else last_scale)


class MLP(nn.Module):
    """A multilayer perceptron, with `activation` after every layer but the last."""

    features: Sequence[int]  # sizes of the layers, the outputs last
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    last_scale: float | None = None  # see kernels
    initialization: str = "lecun"
    virtual_batch_norm: bool = False  # before every activation

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden, last = kernels(self.initialization, self.last_scale)
        for size in self.features[:-1]:
            x = nn.Dense(size, kernel_init=hidden)(x)
            x = self.activation(VirtualBatchNorm()(x) if self.virtual_batch_norm else x)
        return nn.Dense(self.features[-1], kernel_init=last)(x)


class Recurrent(nn.Module):
    """A dense layer with its activation, layers of recurrent cells, and a dense layer: what `GRU` and `LSTM` share.

    It is called with (carry, observation) and returns (carry, output), as Flax's cells do.
    """

    outputs: int
    hidden: Sequence[int] = (64,)  # sizes of the layers of cells; the dense layer before them has the first size
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    last_scale: float | None = None  # see kernels; the cells have Flax's own initialization
    initialization: str = "lecun"

    cell: ClassVar[Callable[..., Any]]

    @nn.compact
    def __call__(self, carry: tuple[Any, ...], x: jax.Array) -> tuple[tuple[Any, ...], jax.Array]:
        first, last = kernels(self.initialization, self.last_scale)
        x = self.activation(nn.Dense(self.hidden[0], kernel_init=first)(x))
        after = []
        for size, before in zip(self.hidden, carry):
            now, x = self.cell(size)(before, x)
            after.append(now)
        return tuple(after), nn.Dense(self.outputs, kernel_init=last)(x)

    @nn.nowrap
    def initialize_carry(self, key: jax.Array, input_shape: tuple[int, ...]) -> tuple[Any, ...]:
        """The carry of each layer, all zeros."""
        del input_shape
        return tuple(self.cell(size, parent=None).initialize_carry(key, (size,)) for size in self.hidden)


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014)."""

    cell = nn.GRUCell


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter, Schmidhuber 1997), with a forget gate."""

    cell = nn.OptimizedLSTMCell


class CNN(nn.Module):
    """Convolutions without padding, then dense layers, for one picture [height, width, channels].

    Pictures of uint8 are scaled to [0, 1]; pictures of floats are taken as they are. `CNNS` has two networks from
    papers.
    """

    outputs: int
    convolutions: Sequence[tuple[int, int, int]]  # (features, size, stride) of each
    hidden: Sequence[int]  # sizes of the dense layers between the convolutions and the last one
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    last_scale: float | None = None  # see kernels
    initialization: str = "lecun"
    virtual_batch_norm: bool = False  # before every activation

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden, last = kernels(self.initialization, self.last_scale)
        after = lambda x: self.activation(VirtualBatchNorm()(x) if self.virtual_batch_norm else x)
        if x.dtype == jnp.uint8:
            x = x.astype(jnp.float32) * (1 / 255)
        for features, size, stride in self.convolutions:
            x = after(nn.Conv(features, (size, size), stride, padding="VALID", kernel_init=hidden)(x))
        x = x.reshape(-1)
        for size in self.hidden:
            x = after(nn.Dense(size, kernel_init=hidden)(x))
        return nn.Dense(self.outputs, kernel_init=last)(x)


CNNS: dict[str, tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]] = {
    "nature": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), (512,)),
    "a3c": (((16, 8, 4), (32, 4, 2)), (256,)),
}
"""Convolutions and hidden layers: of Mnih et al. 2015 ("Human-level control"), and of the feed-forward network of Mnih
et al. 2016 ("Asynchronous methods"), which Salimans et al. 2017 train too."""


def smallest(convolutions: Sequence[tuple[int, int, int]]) -> int:
    """The height and width of the smallest picture from which these convolutions leave one pixel or more.

    >>> from jaxes.rl.policies.networks import CNNS, smallest
    >>> smallest(CNNS["nature"][0])
    36
    """
    side = 1
    for _, size, stride in reversed(convolutions):
        side = (side - 1) * stride + size
    return side
