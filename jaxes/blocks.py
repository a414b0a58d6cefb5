"""A population cut into blocks: bounded memory, and sums that are added in one fixed order."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive members `start, start + 1, ..., start + size - 1`; only `start` may be traced.

    Knowing that members are neighbours lets a strategy draw one noise for both partners of an antithetic pair.
    """

    start: jax.Array | int
    size: int = dataclasses.field(metadata={"static": True})

    @property
    def ids(self) -> jax.Array:
        """int32[size]: the members' ids."""
        return jnp.asarray(self.start, jnp.int32) + jnp.arange(self.size, dtype=jnp.int32)

    @property
    def pairs(self) -> "Block":
        """The antithetic pairs that these members are, if the block begins with an even member."""
        return Block(self.start // 2, self.size // 2)

    def of(self, array: jax.Array) -> jax.Array:
        """The part of `array` ([members, ...]) that belongs to this block."""
        return lax.dynamic_slice_in_dim(array, self.start, self.size)


def over_blocks(fn: Callable[[Block], tuple[Any, Any]], members: int, blocks: int) -> tuple[Any, Any]:
    """Run `fn` over all blocks, one at a time.

    Args:
        fn: maps a `Block` to (one row per member: a tree with leaves [block.size, ...], a tree of sums).
        members: how many there are; divisible by `blocks`.
        blocks: how many parts; 1 calls `fn` directly.

    Returns:
        The rows of all members in order (leaves [members, ...]), and the sums added up in block order.
    """
    size = members // blocks
    if blocks == 1:
        return fn(Block(0, size))

    def step(total, index):
        rows, sums = fn(Block(index * size, size))
        return jax.tree.map(jnp.add, total, sums), rows

    shapes = jax.eval_shape(lambda: fn(Block(jnp.int32(0), size))[1])
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total, rows = lax.scan(step, zero, jnp.arange(blocks, dtype=jnp.int32))
    return jax.tree.map(lambda x: x.reshape(members, *x.shape[2:]), rows), total
