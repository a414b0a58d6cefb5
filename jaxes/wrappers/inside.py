"""What wrappers need from the strategy inside."""

from collections.abc import Callable
from typing import Any

import jax

from jaxes.strategy import Deviations, Strategy


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
