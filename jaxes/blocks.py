"""A population cut into blocks: bounded memory, and sums in one fixed order, on any number of devices."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

AXIS = "population"
"""The name of the mesh axis, or of the axis of `jax.pmap`, over which a population is spread."""

Comm = Literal["scalars", "blocks", "psum"]
_comm: contextvars.ContextVar[Comm] = contextvars.ContextVar("comm", default="blocks")


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


@contextlib.contextmanager
def communicating(comm: Comm) -> Iterator[None]:
    """What is traced meanwhile sends sums over members between devices in this way (see `jaxes.parallel.spread`)."""
    token = _comm.set(comm)
    try:
        yield
    finally:
        _comm.reset(token)


def comm() -> Comm | None:
    """How sums over members are sent between devices in what is traced now; None on a single device."""
    return _comm.get() if _devices() > 1 else None


def over_blocks(
    fn: Callable[[Block], tuple[Any, Any]], members: int, blocks: int, *, evaluating: bool = False
) -> tuple[Any, Any]:
    """Run `fn` over all blocks, one at a time; under an axis "population" each device runs its part of them.

    Args:
        fn: maps a `Block` to (one row per member: a tree with leaves [block.size, ...], a tree of sums).
        members: how many there are; divisible by `blocks`.
        blocks: how many parts; 1 calls `fn` directly.
        evaluating: every device evaluates its blocks only, and rows and sums are sent to all. Otherwise `fn` may be run
            over all blocks on every device, which sends nothing, or sums as large as the parameters are sent.

    Returns:
        The rows of all members in order (leaves [members, ...]), and the sums added up in block order.
    """
    size, devices = members // blocks, _devices()
    if devices > 1:
        if blocks % devices:
            raise ValueError(
                f"blocks must be divisible by the {devices} devices of the axis {AXIS!r}, got blocks={blocks}"
            )
        if evaluating or (_comm.get() != "scalars" and not jax.tree.leaves(_shapes(fn, size)[0])):
            return _spread(fn, size, blocks, devices)
    if blocks == 1:
        return fn(Block(0, size))
    rows, sums = _scanned(fn, size, 0, blocks)
    return jax.tree.map(lambda x: x.reshape(members, *x.shape[2:]), rows), sums


def _devices() -> int:
    """Devices along the population's axis in what is traced now."""
    try:
        return lax.axis_size(AXIS)
    except NameError:
        return 1


def _shapes(fn: Callable, size: int) -> tuple[Any, Any]:
    return jax.eval_shape(lambda: fn(Block(jnp.int32(0), size)))


def _scanned(fn: Callable, size: int, first: Any, count: int) -> tuple[Any, Any]:
    """Rows of `count` blocks from the block `first` on, leaves [count, size, ...], and their sums added up."""

    def step(total, index):
        rows, sums = fn(Block(index * size, size))
        return jax.tree.map(jnp.add, total, sums), rows

    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), _shapes(fn, size)[1])
    total, rows = lax.scan(step, zero, first + jnp.arange(count, dtype=jnp.int32))
    return rows, total


def _spread(fn: Callable, size: int, blocks: int, devices: int) -> tuple[Any, Any]:
    """`over_blocks` where each device has its part of the blocks."""
    count = blocks // devices
    first = lax.axis_index(AXIS) * count
    everywhere = lambda tree: jax.tree.map(lambda x: lax.all_gather(x, AXIS, tiled=True), tree)
    if _comm.get() == "psum":
        rows, own = _scanned(fn, size, first, count)
        rows, total = everywhere(rows), jax.tree.map(lambda x: lax.psum(x, AXIS), own)
    else:
        rows, sums = everywhere(lax.map(lambda index: fn(Block(index * size, size)), first + jnp.arange(count)))
        zero = jax.tree.map(lambda x: jnp.zeros_like(x[0]), sums)
        total, _ = lax.scan(lambda total, one: (jax.tree.map(jnp.add, total, one), None), zero, sums, blocks)
    return jax.tree.map(lambda x: x.reshape(blocks * size, *x.shape[2:]), rows), total
