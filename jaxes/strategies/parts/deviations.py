"""The standard deviations of Gaussian strategies, read from their states (`Strategy.deviations`)."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxes.strategy import Deviations
from jaxes.support import trees


def isotropic(state: Any) -> Deviations:
    """The deviations of members `mean + sigma * z` with one sigma."""
    coordinates = jax.tree.map(lambda x: jnp.broadcast_to(state.sigma, x.shape), state.mean)
    return Deviations(coordinates, state.sigma, mean=state.mean)


def diagonal(state: Any) -> Deviations:
    """The deviations of members `mean + sigma * z` with a tree of sigmas."""
    root_mean_square = trees.norm(state.sigma) * trees.size(state.sigma) ** -0.5
    return Deviations(state.sigma, root_mean_square, mean=state.mean)


def separable(state: Any, variance: jax.Array) -> Deviations:
    """The deviations of members `mean + sigma * sqrt(variance) * z`, with variance float[n]."""
    return Deviations(_like_mean(state, state.sigma * jnp.sqrt(variance)), state.sigma, mean=state.mean)


def full(state: Any, root: jax.Array, exact: bool = False) -> Deviations:
    """The deviations of members `mean + sigma * root z`, with root float[n, n]."""
    coordinates = separable(state, jnp.sum(root**2, axis=1)).coordinates
    return Deviations(coordinates, state.sigma, root, state.mean, exact)


def _like_mean(state: Any, flat: jax.Array) -> Any:
    wide = trees.number_dtype(state.mean)
    return trees.unravel(flat, jax.tree.map(lambda x: x.astype(wide), state.mean))
