"""Perturbations of a part of the parameters."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxes.noise.kind import Noise, ids_of
from jaxes.noise.names import noise_of
from jaxes.support import keys
from jaxes.support.keys import Stream
from jaxes.support.memoized import memoized


@memoized
def subset(which: Any, noise: Noise | str | None = None) -> Noise:
    """Perturb only some of the parameters.

    Args:
        which: a float in (0, 1]: every unit perturbs a random part of the coordinates, of that size; or a tree of
            booleans (a prefix of the parameters' tree, or boolean arrays of the leaves' shapes): the parts that are
            True are perturbed, and the search never changes the rest.
        noise: the kind of noise within the subset; `gaussian()` by default.

    Raises:
        ValueError: if the fraction is outside (0, 1], or, at the first draw, if the tree does not fit.
        TypeError: if a leaf of the tree is not boolean.

    >>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    >>> z = subset({"w": True, "b": False}).sample(jax.random.key(0), jnp.arange(4), params)
    >>> bool((z["w"] != 0).all()), bool((z["b"] == 0).all())
    (True, True)
    """
    inner = noise_of(noise)
    if isinstance(which, int | float) and not isinstance(which, bool):
        if not 0 < which <= 1:
            raise ValueError(f"which must be a fraction in (0, 1] or a tree of booleans, got {which}")
        return _random_subset(float(which), inner)
    for leaf in jax.tree.leaves(which):
        if jnp.result_type(leaf) != jnp.bool_:
            raise TypeError(
                f"which must be a fraction in (0, 1] or a tree of booleans, got a leaf of {jnp.result_type(leaf)}"
            )

    def sample(key, units, like):
        try:
            masks = jax.tree.map(
                lambda mask, part: jax.tree.map(lambda x: jnp.broadcast_to(mask, x.shape), part), which, like
            )
        except ValueError as error:
            raise ValueError(
                f"which must be a prefix of the parameters' tree with masks of their shapes: {error}"
            ) from None
        return jax.tree.map(lambda z, mask: jnp.where(mask, z, 0), inner.sample(key, units, like), masks)

    return Noise(sample, inner.perturb, inner.combine)


def _random_subset(fraction: float, inner: Noise) -> Noise:
    def sample(key, units, like):
        leaves, tree = jax.tree.flatten(like)
        mask_key = keys.stream(key, Stream.MASK)

        def mask(unit_key):
            of_leaves = jax.random.split(unit_key, len(leaves))
            return tree.unflatten(
                [jax.random.bernoulli(k, fraction, x.shape) for k, x in zip(of_leaves, leaves, strict=True)]
            )

        masks = jax.vmap(mask)(keys.of_each(mask_key, ids_of(units)))
        return jax.tree.map(lambda z, m: jnp.where(m, z, 0), inner.sample(key, units, like), masks)

    def combine(weights, z):
        return inner.combine(weights * (1 / fraction), z)

    return Noise(sample, inner.perturb, combine)
