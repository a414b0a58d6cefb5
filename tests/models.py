"""Flax models of many kinds, small."""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

KEY = jax.random.key(0)


class Model(NamedTuple):
    apply: Any
    params: Any
    inputs: tuple[Any, ...]
    low_rank: int  # parameters that the planner must find


class MLP(nn.Module):
    widths: tuple[int, ...] = (32, 32, 4)
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        for width in self.widths[:-1]:
            x = nn.relu(nn.LayerNorm(dtype=self.dtype)(nn.Dense(width, dtype=self.dtype)(x)))
        return nn.Dense(self.widths[-1], dtype=self.dtype)(x)


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), strides=2)(x))
        x = nn.relu(nn.Conv(8, (3, 3), feature_group_count=8)(x))  # depthwise
        x = nn.relu(nn.Conv(12, (2, 2), feature_group_count=4, padding="VALID")(x))
        return nn.Dense(4)(x.reshape(x.shape[0], -1))


class GRU(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.RNN(nn.GRUCell(features=16))(x))


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        embedding = nn.Embed(11, 16)
        places = self.param("places", nn.initializers.normal(0.1), (9, 16))
        h = embedding(tokens) + places[: tokens.shape[-1]]
        h = h + nn.MultiHeadDotProductAttention(num_heads=4)(nn.LayerNorm()(h))
        h = h + nn.Dense(16)(nn.gelu(nn.Dense(32)(nn.LayerNorm()(h))))
        return embedding.attend(h)


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return x + nn.Dense(x.shape[-1])(nn.tanh(nn.Dense(24)(x))), None


class Stacked(nn.Module):
    remat: bool = False

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(Layer) if self.remat else Layer
        scan = nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return scan()(x, None)[0]


class Linear(nnx.Module):
    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(8, 32, rngs=rngs), nnx.LayerNorm(32, rngs=rngs)
        self.last = nnx.Linear(32, 4, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.norm(self.first(x))))


def linen(module: nn.Module, low_rank: int, *inputs: Any) -> Model:
    return Model(module.apply, jax.jit(module.init)(KEY, *inputs), inputs, low_rank)


def of_nnx(low_rank: int, *inputs: Any) -> Model:
    graph, state = nnx.split(Linear(nnx.Rngs(0)))
    tree = jax.tree.structure(state)
    apply = lambda pure, x: nnx.merge(graph, tree.unflatten(jax.tree.leaves(pure)))(x)
    return Model(apply, nnx.to_pure_dict(state), inputs, low_rank)


def draw(*shape: int) -> jax.Array:
    return jax.random.normal(KEY, shape)


MODELS = {
    "linen MLP": lambda: linen(MLP(), 3, draw(5, 8)),
    "CNN": lambda: linen(CNN(), 4, draw(2, 16, 16, 3)),
    "GRU in a scan": lambda: linen(GRU(), 7, draw(2, 7, 5)),
    "transformer, tied embedding": lambda: linen(Transformer(), 7, jnp.arange(6)[None] % 11),
    "stacked layers": lambda: linen(Stacked(), 2, draw(5, 8)),
    "stacked layers, remat": lambda: linen(Stacked(remat=True), 2, draw(5, 8)),
    "nnx MLP": lambda: of_nnx(2, draw(5, 8)),
}


@functools.cache
def model(name: str) -> Model:
    """One of `MODELS`, made once."""
    return MODELS[name]()
