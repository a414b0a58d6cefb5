"""What a kind of perturbation is, and what the kinds share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxes.blocks import Block
from jaxes.support import trees
from jaxes.support.memoized import pickled


class Noise(NamedTuple):
    """One kind of perturbation `z` with `E[z] = 0`."""

    sample: Callable[[jax.Array, Any, Any], Any]
    """`sample(key, units, like) -> z`: units are a `Block` or int[k]; leaves [k, *leaf.shape] of like's dtypes"""
    perturb: Callable[[Any, Any, Any], Any]
    """`perturb(params, scale, z_of_one) -> member`: params + scale * z, with scale float[]"""
    combine: Callable[[jax.Array, Any], Any]
    """`combine(weights, z) -> tree like params`: the sum of weights (float[k]) times z. It is scaled so that a sum with
    weights linear in z is unbiased: as if `E[z z^T]` were the identity"""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the factory was given, where a factory made it."""
        return pickled(self)


def ids_of(units: Any) -> jax.Array:
    """The ids in a `Block`, or those given: int[k]."""
    return units.ids if isinstance(units, Block) else units


def weighted_sum(weights: jax.Array, z: Any) -> Any:
    """`sum_i weights[i] * z[i]` in the dtypes of z: float[k] and leaves [k, *shape] -> leaves [*shape]."""
    return jax.tree.map(lambda e: trees.weighted_rows(weights.astype(e.dtype), e).astype(e.dtype), z)
