"""What wrappers need from the strategy inside, however deep in other wrappers it is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.strategy import Deviations, Strategy
from jaxes.support import trees


class Inside:
    """Base of the wrappers' states: `key` and `step` come from the state inside."""

    __slots__ = ()
    inner: Any

    @property
    def key(self) -> jax.Array:
        return self.inner.key

    @property
    def step(self) -> jax.Array:
        return self.inner.step


def deviations(strategy: Strategy) -> Callable[[Any], Deviations] | None:
    """`Strategy.deviations` for a wrapper's state: what the strategy inside gives for its own state, or None."""
    read = strategy.deviations
    return None if read is None else lambda state: read(state.inner)


def has_sigma(state: Any) -> bool:
    """Whether the innermost state has a step size."""
    return hasattr(state, "sigma") or (hasattr(state, "inner") and has_sigma(state.inner))


def with_sigma_times(factor: jax.Array, state: Any) -> Any:
    """The state with a step size (or many, in a tree) times `factor`.

    Beyond the fourth root of the largest float it does not grow: where nothing but noise is seen, it would overflow.
    """
    if hasattr(state, "sigma"):
        grown = trees.scaled(factor, state.sigma)
        limit = lambda new, old: jnp.minimum(new, jnp.maximum(old, float(jnp.finfo(new.dtype).max) ** 0.25))
        return state._replace(sigma=jax.tree.map(limit, grown, state.sigma))
    return state._replace(inner=with_sigma_times(factor, state.inner))
