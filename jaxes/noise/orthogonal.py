"""Perturbations that are orthogonal to each other."""

import jax
import jax.numpy as jnp

from jaxes.blocks import Block
from jaxes.noise.kind import Noise, ids_of, weighted_sum
from jaxes.support import trees
from jaxes.support.memoized import memoized


@memoized
def orthogonal(group: int = 8) -> Noise:
    """Normal numbers, orthogonal to the perturbations of the other units in the same group.

    Each unit alone is standard normal: its direction comes from a QR decomposition, and its length is independent of
    the direction. These are the orthogonal Gaussian perturbations of Choromanski et al. 2018, "Structured Evolution
    with Compact Architectures for Scalable Policy Optimization".

    Args:
        group: units `g * group, ..., (g + 1) * group - 1` are orthogonal to each other; at most the number of
            parameters. Asking for single members draws their whole group.

    Raises:
        ValueError: if the group is below 2, or, at the first draw, larger than the number of parameters.

    >>> z = orthogonal(2).sample(jax.random.key(0), jnp.arange(2), jnp.zeros(5))
    >>> bool(abs(z[0] @ z[1]) < 1e-5)
    True
    """
    if group < 2:
        raise ValueError(f"group must be 2 or more, got {group}")

    def sample(key, units, like):
        n = trees.size(like)
        if group > n:
            raise ValueError(f"group must be at most the number of parameters {n}, got {group}")
        dtype = trees.number_dtype(like)

        def rows(index):
            normal = jax.random.normal(jax.random.fold_in(key, index), (n, group), dtype)
            q, r = jnp.linalg.qr(normal)
            # Signs make Q uniform (Mezzadri 2007); lengths of the columns are independent of their directions.
            scale = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(dtype) * jnp.linalg.norm(normal, axis=0)
            return (q * scale[None]).T

        if isinstance(units, Block) and units.size % group == 0:
            groups = units.start // group + jnp.arange(units.size // group)
            flat = jax.vmap(rows)(groups).reshape(units.size, n)
        else:
            flat = jax.vmap(lambda i: rows(i // group)[i % group])(ids_of(units))
        return jax.vmap(lambda z: trees.unravel(z, like))(flat)

    return Noise(sample, trees.add_scaled, weighted_sum)
