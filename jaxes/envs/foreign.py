"""Calling packages that do not keep our rules."""

import contextlib
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


@contextlib.contextmanager
def foreign():
    """Around code that mixes dtypes and ranks freely and uses what is deprecated."""
    with warnings.catch_warnings(), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        warnings.filterwarnings("ignore", message="Brax System", category=UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def strong(tree: Any) -> Any:
    """The same without weak types, so that an episode's first state fits the programs compiled for all others."""
    tree = jax.tree.map(jnp.asarray, tree)
    return jax.tree.map(lambda x: lax.convert_element_type(x, x.dtype) if x.weak_type else x, tree)
