"""A population cut into blocks: bounded memory, and sums in one fixed order, on any number of devices."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

AXIS = "population"
"""The name of the mesh axis, or of the axis of `jax.pmap`, over which a population is spread."""

Comm = Literal["scalars", "blocks", "psum"]
"""What devices send beside the fitness of members, see `over_blocks`."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive members `start, start + 1, ..., start + size - 1`; only `start` may be traced.

    Knowing that members are neighbours lets a strategy draw one noise for both partners of an antithetic pair.

    >>> from jaxes import Block
    >>> Block(4, 3).ids.tolist()
    [4, 5, 6]
    """

    start: jax.Array | int
    size: int = dataclasses.field(metadata={"static": True})
    regular: bool = dataclasses.field(default=False, metadata={"static": True})
    """Whether it is one of the equal parts of a population, which begin with multiples of their size."""

    @property
    def ids(self) -> jax.Array:
        """int32[size]: the members' ids."""
        return jnp.asarray(self.start, jnp.int32) + jnp.arange(self.size, dtype=jnp.int32)

    def consists_of(self, unit: int) -> bool:
        """Whether these members are whole groups of `unit` neighbors, as far as can be told while tracing."""
        return self.size % unit == 0 and (self.start % unit == 0 if isinstance(self.start, int) else self.regular)

    @property
    def pairs(self) -> "Block":
        """The antithetic pairs that these members are, if they are whole ones."""
        return Block(self.start // 2, self.size // 2, self.regular)

    def of(self, array: jax.Array) -> jax.Array:
        """The part of `array` ([members, ...]) that belongs to this block."""
        return lax.dynamic_slice_in_dim(array, self.start, self.size)


def over_blocks(
    fn: Callable[[Block], tuple[Any, Any]], members: int, blocks: int, comm: Comm = "scalars"
) -> tuple[Any, Any]:
    """Run `fn` over all blocks of a population, one at a time.

    Args:
        fn: maps a `Block` to (one row per member: a tree with leaves [block.size, ...], a tree of sums).
        members: how many there are; divisible by `blocks`.
        blocks: how many parts; 1 calls `fn` directly.
        comm: who runs which blocks under an axis "population" of several devices. "scalars": every device runs all of
            them, so nothing has to be sent. "blocks": each device runs its part, and rows and the sums of each block
            are sent to all. "psum": likewise, but each device sends its blocks' sums added up, so that the order of
            the additions depends on the number of devices.

    Returns:
        The rows of all members in order (leaves [members, ...]), and the sums added up in block order.

    Raises:
        ValueError: if the devices do not divide the blocks.
    """
    size, devices = members // blocks, axis_devices()
    if devices > 1:
        if blocks % devices:
            raise ValueError(
                f"blocks must be divisible by the {devices} devices of the axis {AXIS!r}, got blocks={blocks}"
            )
        if comm != "scalars":
            return _dealt(fn, size, blocks, devices, comm)
    if blocks == 1:
        return fn(Block(0, size))
    rows, sums = _scanned(fn, size, 0, blocks)
    return jax.tree.map(lambda x: x.reshape(members, *x.shape[2:]), rows), sums


def axis_devices() -> int:
    """Devices along the population's axis in what is traced now."""
    try:
        return lax.axis_size(AXIS)
    except NameError:
        return 1


def _part(index: Any, size: int) -> Block:
    return Block(index * size, size, regular=True)


def _scanned(fn: Callable, size: int, first: Any, count: int) -> tuple[Any, Any]:
    """Rows of `count` blocks from the block `first` on, leaves [count, size, ...], and their sums added up."""

    def step(total, index):
        rows, sums = fn(_part(index, size))
        return jax.tree.map(jnp.add, total, sums), rows

    shapes = jax.eval_shape(lambda: fn(_part(jnp.int32(0), size)))
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes[1])
    total, rows = lax.scan(step, zero, first + jnp.arange(count, dtype=jnp.int32))
    return rows, total


def _dealt(fn: Callable, size: int, blocks: int, devices: int, comm: Comm) -> tuple[Any, Any]:
    """`over_blocks` where each device has its part of the blocks."""
    count = blocks // devices
    first = lax.axis_index(AXIS) * count
    everywhere = lambda tree: jax.tree.map(lambda x: lax.all_gather(x, AXIS, tiled=True), tree)
    if comm == "psum":
        rows, own = _scanned(fn, size, first, count)
        rows, total = everywhere(rows), jax.tree.map(lambda x: lax.psum(x, AXIS), own)
    else:
        rows, sums = everywhere(lax.map(lambda index: fn(_part(index, size)), first + jnp.arange(count)))
        zero = jax.tree.map(lambda x: jnp.zeros_like(x[0]), sums)
        total, _ = lax.scan(lambda total, one: (jax.tree.map(jnp.add, total, one), None), zero, sums, blocks)
    return jax.tree.map(lambda x: x.reshape(blocks * size, *x.shape[2:]), rows), total
