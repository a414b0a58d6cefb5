"""Perturbations of independent numbers, an array like each parameter."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.noise.kind import Noise, ids_of, weighted_sum
from jaxes.support import keys, trees
from jaxes.support.memoized import memoized

_TOGETHER = 2**16


@memoized
def gaussian() -> Noise:
    """Independent standard normal numbers, an array like each parameter.

    >>> z = gaussian().sample(jax.random.key(0), jnp.arange(4), {"w": jnp.zeros((3, 2))})
    >>> z["w"].shape, z["w"].dtype
    ((4, 3, 2), dtype('float32'))
    """
    return _dense(normal)


@memoized
def rademacher() -> Noise:
    """Independent signs, +1 or -1, an array like each parameter.

    Signs are cheaper to draw than normal numbers, exact in low precision, and estimate with no higher variance.

    >>> z = rademacher().sample(jax.random.key(0), jnp.arange(4), jnp.zeros(3))
    >>> bool((abs(z) == 1).all())
    True
    """
    return _dense(lambda key, shape, dtype: jax.random.rademacher(key, shape, dtype))


def normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """What `jax.random.normal` draws, with the factor sqrt(2) where the compiler cannot merge it into a scale.

    XLA merges a constant factor into the scale of a perturbation in some programs and not in others, and so would round
    a member in two ways. Here the factor carries the sign of the number, and so is no constant.
    """
    low = np.nextafter(np.array(-1.0, dtype), np.array(0.0, dtype), dtype=dtype)
    u = jax.random.uniform(key, shape, dtype, minval=low, maxval=1.0)
    return jnp.copysign(jnp.asarray(np.sqrt(2), dtype), u) * lax.erf_inv(jnp.abs(u))


def _dense(draw: Callable) -> Noise:
    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        groups = _groups(leaves)

        def one(unit_key):
            out: list[Any] = [None] * len(leaves)
            of_groups = [unit_key] if len(groups) == 1 else jax.random.split(unit_key, len(groups))
            for group_key, group in zip(of_groups, groups, strict=True):
                of_group = [leaves[i] for i in group]
                flat = draw(group_key, (sum(x.size for x in of_group),), of_group[0].dtype)
                ends = np.cumsum([x.size for x in of_group])[:-1].tolist()
                for i, x, part in zip(group, of_group, jnp.split(flat, ends), strict=True):
                    out[i] = part.reshape(x.shape)
            return tree.unflatten(out)

        return jax.vmap(one)(keys.of_each(key, ids_of(units)))

    return Noise(sample, trees.add_scaled, weighted_sum)


def _groups(leaves: list[Any]) -> list[list[int]]:
    """Which leaves are drawn together: of one dtype, and `_TOGETHER` numbers at most unless it is a single leaf.

    A draw of threefry takes over half a second to compile on CPU, whatever its size; drawing a large leaf as a part of
    something larger would take its memory twice.
    """
    groups: list[list[int]] = []
    open_group: dict[Any, tuple[list[int], int]] = {}  # of each dtype, and its numbers
    for i, x in enumerate(leaves):
        group, size = open_group.get(x.dtype, ([], _TOGETHER))
        if size + x.size > _TOGETHER:
            group, size = [], 0
            groups.append(group)
        group.append(i)
        open_group[x.dtype] = group, size + x.size
    return groups
