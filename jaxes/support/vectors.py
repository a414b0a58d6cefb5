"""Lists and tuples of numbers as vectors, and values spread over trees."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.support.numerals import told


def is_vector(value: Any) -> bool:
    """Whether `value` is a list or tuple (no NamedTuple) of numbers, or of such lists of equal lengths.

    >>> is_vector([1, 2.5]), is_vector(((1, 2), (3, 4))), is_vector([np.ones(2)]), is_vector([])
    (True, True, False, False)
    """
    if not isinstance(value, list | tuple) or hasattr(value, "_fields") or not value:
        return False
    if all(isinstance(x, numbers.Real | np.bool_) for x in value):
        return True
    return all(map(is_vector, value)) and len({np.shape(x) for x in value}) == 1


def spread(part: Any, tree: Any, name: str, dtype: Any = None) -> Any:
    """`part` as a tree of arrays like the leaves of `tree`.

    Args:
        part: a number, an array, a list of numbers, or a tree of them that is a prefix of `tree`.
        tree: of arrays.
        name: of the argument, for errors.
        dtype: of the result; the leaf's by default.

    Raises:
        ValueError: if it does not fit.

    >>> spread([1, 2], jnp.zeros(2), "low").tolist()
    [1.0, 2.0]
    """

    def below(value, subtree):
        if is_vector(value) and not jax.tree_util.treedef_is_leaf(jax.tree.structure(subtree)):
            return jax.tree.map(below, value, subtree)  # a tree of numbers
        return jax.tree.map(lambda x: jnp.broadcast_to(_array(value, name, dtype or x.dtype), x.shape), subtree)

    try:
        return jax.tree.map(below, part, tree, is_leaf=lambda x: x is None or is_vector(x))
    except ValueError as error:
        wanted, got = ("True or False" if dtype is bool else "a number"), told(part)
        message = f"{name} must be {wanted}, or a prefix of the parameters' tree whose shapes fit, got {got}: {error}"
        raise ValueError(message) from None


def _array(value: Any, name: str, dtype: Any) -> jax.Array:
    if value is None or isinstance(value, str):
        raise TypeError(f"{name} must hold numbers, got {value!r}")
    return jnp.asarray(value, dtype)
