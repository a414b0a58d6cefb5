"""What wrappers need to know of the strategy inside."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxes.blocks import Block
from jaxes.support import trees


class Inside:
    """Base of wrappers' states: `key` and `step` are those of the state inside."""

    __slots__ = ()
    inner: Any

    @property
    def key(self) -> jax.Array:
        return self.inner.key

    @property
    def step(self) -> jax.Array:
        return self.inner.step


def numbers(ids: Any, size: int) -> jax.Array:
    """`ask`'s ids as int32[k]; None means all `size` members."""
    if ids is None:
        return jnp.arange(size, dtype=jnp.int32)
    return ids.ids if isinstance(ids, Block) else jnp.asarray(ids)


def deviations(state: Any, params: Any) -> Any:
    """The standard deviation of every coordinate of a Gaussian strategy's members: a tree like `params`."""
    sigma = getattr(state, "sigma", None)
    if sigma is None or not hasattr(state, "mean") or any(hasattr(state, name) for name in _UNREAD):
        raise TypeError(
            "wanted: a Gaussian strategy whose coordinates' standard deviations can be read, such as cma_es, ma_es, "
            f"sep_cma_es, snes, cem or open_es; got a state of {type(state).__module__}"
        )
    root = getattr(state, "root", getattr(state, "matrix", None))
    if root is not None or hasattr(state, "variance"):
        spread = state.variance if root is None else jnp.sum(root**2, axis=1)
        wide = trees.number_dtype(params)
        return trees.unravel(sigma * jnp.sqrt(spread), jax.tree.map(lambda x: x.astype(wide), params))
    if jax.tree.structure(sigma) == jax.tree.structure(params):
        return sigma
    return jax.tree.map(lambda x: jnp.broadcast_to(sigma, x.shape), params)


_UNREAD = ("shape", "v", "directions", "covariance", "particles")  # fields that say what sigma alone does not
