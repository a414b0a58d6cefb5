"""Perturbations that are slices of one table of random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.noise.kind import Noise, ids_of, weighted_sum
from jaxes.support import keys, trees
from jaxes.support.memoized import memoized


@memoized
def table(size: int = 2**22, seed: int = 123) -> Noise:
    """Slices of one shared table of normal numbers (Salimans et al. 2017, section 2.1).

    Args:
        size: how many numbers the table has, float32; at least the number of parameters, and better many times that,
            because overlapping slices make perturbations dependent. OpenAI's code used 250,000,000.
        seed: seed of the table, which NumPy's `RandomState(seed).randn` draws.

    Raises:
        ValueError: at the first draw, if there are more parameters than `size`.

    >>> table(1000).sample(jax.random.key(0), jnp.arange(4), jnp.zeros((3, 2))).shape
    (4, 3, 2)
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    values = np.random.RandomState(seed).randn(size).astype(np.float32)

    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        need = trees.size(like)
        if need > size:
            raise ValueError(f"size of the noise table must be at least the number of parameters {need}, got {size}")
        shared = jnp.asarray(values)

        def one(unit_key):
            offset = jax.random.randint(unit_key, (), 0, size - need + 1)
            out = []
            for x in leaves:
                out.append(lax.dynamic_slice_in_dim(shared, offset, x.size).reshape(x.shape).astype(x.dtype))
                offset = offset + x.size
            return tree.unflatten(out)

        return jax.vmap(one)(keys.of_each(key, ids_of(units)))

    return Noise(sample, trees.add_scaled, weighted_sum)
