"""A parameter with a perturbation of low rank: the value that the interpreter carries through a model."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.support import trees


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRank:
    """`w + scale * sum_r a[r] b[r]`, where `w` has the axes of a stack, a left and a right side, in this order.

    Each entry of the stack, such as a layer of `flax.linen.scan`, has its own perturbation. In a population `w` is
    shared, and `a`, `b` and `scale` have a leading axis of members.
    """

    w: Any  # float or int8[*stack, *left, *right]; None where only the perturbation is meant
    a: Any  # float or int8[*stack, rank, *left]
    b: Any  # float or int8[*stack, rank, *right]
    scale: Any  # float[]: factor of the product, with its sign
    stack: int = dataclasses.field(default=0, metadata={"static": True})  # axes of the stack
    left: int = dataclasses.field(default=1, metadata={"static": True})  # axes of the left side
    like: Any = dataclasses.field(default=None, metadata={"static": True})  # dtype of the parameter where w is not it
    name: str = dataclasses.field(default="", metadata={"static": True})  # of the parameter
    unit: Any = None  # float32[]: what one of `w` is worth where that is int8; None where it is float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.w.shape

    @property
    def dtype(self) -> Any:
        return self.like if self.w is None or self.unit is not None else self.w.dtype

    @property
    def ndim(self) -> int:
        return self.w.ndim

    @property
    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The axes of the stack, of the left and of the right side."""
        axes = tuple(range(self.w.ndim))
        middle = self.stack + self.left
        return axes[: self.stack], axes[self.stack : middle], axes[middle:]

    def perturbation(self) -> jax.Array:
        """The scaled product."""
        stack, rank = self.a.shape[: self.stack], self.a.shape[self.stack]
        left, right = self.a.shape[self.stack + 1 :], self.b.shape[self.stack + 1 :]
        a = self.a.reshape(*stack, rank, math.prod(left)).astype(self.scale.dtype)
        b = self.b.reshape(*stack, rank, math.prod(right)).astype(self.scale.dtype)
        batch = tuple(range(self.stack))
        numbers = (((self.stack,), (self.stack,)), (batch, batch))
        product = lax.dot_general(a, b, numbers, precision=lax.Precision.HIGHEST)
        return (product * self.scale).reshape(*stack, *left, *right).astype(self.dtype)

    def dense(self) -> jax.Array:
        """The parameter itself."""
        return self.worth(self.w, self.dtype) + self.perturbation()

    def worth(self, x: jax.Array, dtype: Any) -> jax.Array:
        """`x`, made of entries of `w` or of sums of them, in the units and the dtype of the parameter."""
        return x.astype(dtype) if self.unit is None else (x.astype(self.unit.dtype) * self.unit).astype(dtype)


class Rounded(NamedTuple):
    """A matrix rounded to multiples of a unit."""

    values: jax.Array  # int8[...], -127 to 127
    unit: jax.Array  # float32[]


def rounded(w: jax.Array) -> Rounded:
    """The matrix in whole numbers of a unit, which is chosen so that the largest of them is 127."""
    largest = jnp.max(jnp.abs(w.astype(jnp.float32)))
    unit = jnp.where(largest > 0, largest, 1) * np.float32(1 / 127)
    return Rounded(jnp.round(w.astype(jnp.float32) * (1 / unit)).astype(jnp.int8), unit)


def is_low_rank(x: Any) -> bool:
    """Whether a leaf of a tree is a `LowRank`.

    >>> is_low_rank(LowRank(None, jnp.ones((1, 3)), jnp.ones((1, 2)), 0.5)), is_low_rank(jnp.ones(3))
    (True, False)
    """
    return isinstance(x, LowRank)


def dense(x: Any) -> Any:
    """The array that a leaf stands for: a `LowRank`'s matrix, or its perturbation if it has no `w`.

    >>> dense(LowRank(jnp.ones((3, 2)), jnp.ones((1, 3)), jnp.ones((1, 2)), jnp.float32(0.5))).tolist()
    [[1.5, 1.5], [1.5, 1.5], [1.5, 1.5]]
    """
    if not isinstance(x, LowRank):
        return x
    return x.perturbation() if x.w is None else x.dense()


def dense_tree(tree: Any) -> Any:
    """The arrays that the leaves of one member stand for."""
    return jax.tree.map(dense, tree, is_leaf=is_low_rank)


def any_low_rank(tree: Any) -> bool:
    """Whether any leaf of a tree is a `LowRank`.

    >>> any_low_rank({"b": jnp.ones(3)})
    False
    """
    return any(map(is_low_rank, jax.tree.leaves(tree, is_leaf=is_low_rank)))


def weighted_products(weights: jax.Array, z: LowRank) -> jax.Array:
    """`sum_k weights[k] * scale[k] * A_k B_k^T` over many perturbations, in one matrix product.

    Args:
        weights: float[k].
        z: perturbations: factors with a leading axis of length k, and no `w`.

    Returns:
        float[*stack, *left, *right].
    """
    stack = z.stack
    lead = (*weights.shape, *(1,) * (z.a.ndim - 1))
    wide = trees.number_dtype(z.scale)
    a = z.a.astype(wide) * (weights.astype(wide) * z.scale.astype(wide)).reshape(lead)
    batch = tuple(range(1, stack + 1))
    summed = (0, stack + 1)
    how = {"precision": lax.Precision.HIGHEST, "preferred_element_type": wide}
    out = lax.dot_general(a, z.b.astype(wide), ((summed, summed), (batch, batch)), **how)
    return out.astype(z.dtype)
