"""Arithmetic on whole trees of parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.support import checks


def add_scaled(tree: Any, scale: Any, other: Any) -> Any:
    """`tree + scale * other` leaf by leaf in the dtypes of `tree`; `scale` is a scalar."""
    return jax.tree.map(lambda x, y: x + jnp.asarray(scale).astype(x.dtype) * y, tree, other)


def scaled(scale: Any, tree: Any) -> Any:
    """`scale * tree` leaf by leaf in the dtypes of `tree`; `scale` is a scalar."""
    return jax.tree.map(lambda x: jnp.asarray(scale).astype(x.dtype) * x, tree)


def where(condition: jax.Array, new: Any, old: Any) -> Any:
    """`new` if the boolean scalar `condition`, else `old`, leaf by leaf."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)


def weighted_rows(weights: jax.Array, rows: jax.Array) -> jax.Array:
    """`sum_i weights[i] * rows[i]` of one leaf: float[k] and [k, *shape] -> [*shape], in f32 or wider.

    Both must have one dtype.
    """
    if rows.ndim == 1:
        # XLA fuses a sum to a single number with what draws its terms, in each program in another order.
        return weighted_rows(weights, jnp.stack([rows, rows], 1))[0]
    wide = number_dtype(rows)
    return jnp.tensordot(weights, rows, 1, precision=lax.Precision.HIGHEST, preferred_element_type=wide)


def norm(tree: Any) -> jax.Array:
    """Euclidean norm over all leaves, in f32 or wider."""
    dtype = number_dtype(tree)
    return jnp.sqrt(sum(jnp.sum(jnp.asarray(x).astype(dtype) ** 2) for x in jax.tree.leaves(tree)))


def size(tree: Any) -> int:
    """Numbers in the tree."""
    return sum(int(np.prod(jnp.shape(x), dtype=np.int64)) for x in jax.tree.leaves(tree))


def number_dtype(tree: Any) -> Any:
    """The dtype of a strategy's numbers beside these parameters: f64 if any leaf is, else f32."""
    wide = any(jnp.result_type(x) == jnp.float64 for x in jax.tree.leaves(tree))
    return jnp.float64 if wide else jnp.float32


def ravel(tree: Any, dtype: Any) -> jax.Array:
    """All leaves as one vector dtype[size], whole on every device."""
    return jnp.concatenate([jnp.ravel(checks.gathered(jnp.asarray(x))).astype(dtype) for x in jax.tree.leaves(tree)])


def unravel(flat: jax.Array, like: Any) -> Any:
    """The vector `flat` ([size]) as a tree of like's shapes, dtypes and, over a mesh with Explicit axes, shardings."""
    leaves, tree = jax.tree.flatten(like)
    ends = np.cumsum([x.size for x in leaves])
    parts = [flat[end - x.size : end].reshape(x.shape).astype(x.dtype) for x, end in zip(leaves, ends, strict=True)]
    return tree.unflatten(map(_placed_like, parts, leaves))


def _placed_like(x: jax.Array, like: Any) -> jax.Array:
    """The array with the sharding that another one has over a mesh's Explicit axes."""
    sharding = jax.typeof(like).sharding if isinstance(like, jax.Array) else None
    whole = sharding is None or all(axis is None for axis in sharding.spec)
    return x if whole else jax.sharding.reshard(x, sharding)


def flatten_params(params: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """A model's parameters as one vector, and the way back.

    Args:
        params: tree of float arrays, such as the variables of a linen module or `nnx.state(module, nnx.Param)`.

    Returns:
        float[size], the leaves in the tree's order, in the dtype that holds all of theirs; and `unflatten(vector) ->
        params`, which gives every leaf its shape and dtype and goes through `jit`, `vmap` and `grad`.

    Raises:
        TypeError: if a leaf is no float array. `unflatten` raises ValueError for a vector of another size.

    >>> import jax.numpy as jnp, jaxes
    >>> vector, unflatten = jaxes.flatten_params({"b": jnp.zeros(2), "w": jnp.ones((2, 3))})
    >>> vector.tolist()
    [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    >>> unflatten(2 * vector)["w"].shape
    (2, 3)
    """
    params = checks.params(params)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    with jax.numpy_dtype_promotion("standard"):
        count, dtype = size(like), jnp.result_type(*jax.tree.leaves(like))

    def unflatten(vector: jax.Array) -> Any:
        if jnp.shape(vector) != (count,):
            raise ValueError(f"vector must have shape ({count},), one number per parameter; got {jnp.shape(vector)}")
        return unravel(jnp.asarray(vector), like)

    return ravel(params, dtype), unflatten


def like(part: Any, tree: Any, name: str) -> Any:
    """`part`, a scalar, array or prefix of `tree`, as a tree of arrays of the leaves' shapes and dtypes."""
    spread = lambda value, below: jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(value, x.dtype), x.shape), below)
    try:
        return jax.tree.map(spread, part, tree)
    except ValueError as error:
        message = f"{name} must be a number, or a prefix of the parameters' tree whose shapes fit: {error}"
        raise ValueError(message) from None
