"""What wrappers need to know of the strategy inside."""

from collections.abc import Callable
from typing import Any

import jax

from jaxes.strategy import Deviations, Strategy


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


def deviations(strategy: Strategy) -> Callable[[Any], Deviations] | None:
    """How to read the standard deviations of the strategy inside from the wrapper's state, if they can be read."""
    read = strategy.deviations
    return None if read is None else lambda state: read(state.inner)
