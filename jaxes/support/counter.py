"""A counter that does not overflow where 64-bit integers are switched off."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Counter(NamedTuple):
    """A count up to 2^64 in two words."""

    low: jax.Array  # uint32[]
    high: jax.Array  # uint32[]

    @classmethod
    def zero(cls) -> "Counter":
        return cls(jnp.uint32(0), jnp.uint32(0))

    def plus(self, amount: jax.Array) -> "Counter":
        """`self + amount`, with `amount` uint32[].

        >>> counter = Counter.zero()
        >>> for _ in range(3):
        ...     counter = counter.plus(jnp.uint32(2**31))
        >>> int(counter)
        6442450944
        """
        low = self.low + amount.astype(jnp.uint32)
        return Counter(low, self.high + (low < self.low).astype(jnp.uint32))

    def __int__(self) -> int:
        return (int(self.high) << 32) + int(self.low)
