"""From the noise of units to members: which units are asked for, and with which sign."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Block
from jaxes.lowrank.leaf import any_low_rank
from jaxes.lowrank.population import each, interleaved
from jaxes.support import checks


def read_ids(ids: Any, size: int) -> Block | jax.Array:
    """The members that `ask` is asked for.

    Args:
        ids: None (all `size` members), a `Block`, or int[k].
        size: how many members the population has.

    Raises:
        ValueError: if one that is not traced is no member.
    """
    if ids is None:
        return Block(0, size)
    if isinstance(ids, Block):
        _within((ids.start, ids.start + ids.size - 1) if isinstance(ids.start, int) else (), size)
        return ids
    ids = checks.ids(ids)
    _within(() if isinstance(ids, jax.core.Tracer) else np.asarray(ids), size)
    return ids


def _within(ids: Any, size: int) -> None:
    wrong = [int(i) for i in ids if not 0 <= i < size]
    if wrong:
        raise ValueError(f"ids must be those of members, 0 to {size - 1}, got {wrong[0]}")


def as_array(ids: Block | jax.Array) -> jax.Array:
    """int32[k]: the ids, or the ids of a block."""
    return ids.ids if isinstance(ids, Block) else ids


def from_noise(ids: Any, size: int, antithetic: bool, draw: Callable, member: Callable) -> Any:
    """A population, or some of it, from its noise.

    Args:
        ids: None (all `size` members), a `Block`, or int[k].
        size: how many members the population has.
        antithetic: members 2u and 2u+1 share the noise of unit u with opposite signs; otherwise member i has the noise
            of unit i.
        draw: `draw(units) -> z`, leaves [units, ...]; units are a `Block` or int[k].
        member: `member(sign, z_of_one)`; sign is +1.0 or -1.0.
    """
    ids = read_ids(ids, size)
    if not antithetic:
        return each(lambda z: member(1.0, z), draw(ids))
    if isinstance(ids, Block) and ids.consists_of(2):
        return of_pairs(ids, draw, member)
    return one_by_one(ids, draw, member)


def of_pairs(ids: Block, draw: Callable, member: Callable) -> Any:
    """The members of a block of whole antithetic pairs; the noise of a pair is drawn once."""
    z = draw(ids.pairs)
    if isinstance(ids.start, int) or any_low_rank(z):
        # The faster way on CPU (benchmarks/core.py), but in a loop over blocks XLA would draw dense noise twice.
        return interleaved(*(each(lambda one, sign=sign: member(sign, one), z) for sign in (1.0, -1.0)))
    twice = lambda z: jnp.broadcast_to(z[:, None], (z.shape[0], 2, *z.shape[1:])).reshape(ids.size, *z.shape[1:])
    return each(member, _signs(ids.ids), jax.tree.map(twice, z))


def one_by_one(ids: Block | jax.Array, draw: Callable, member: Callable) -> Any:
    """Members of antithetic pairs in any order, each with its own copy of the noise."""
    ids = as_array(ids)
    return each(member, _signs(ids), draw(ids // 2))


def signed(sign: jax.Array | float, scale: jax.Array | float) -> jax.Array | float:
    """`sign * scale` without a product, which XLA would merge with constants of the noise and so round differently."""
    return jnp.where(sign < 0, -scale, scale)


def _signs(ids: jax.Array) -> jax.Array:
    return 1.0 - 2.0 * (ids % 2).astype(jnp.float32)
