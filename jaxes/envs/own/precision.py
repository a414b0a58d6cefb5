"""Single precision, whatever JAX is set to."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def single(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in single precision also where `jax_enable_x64` is set; doubles among its arguments are rounded.

    >>> import jax, jax.numpy as jnp
    >>> with jax.enable_x64(True):
    ...     single(lambda x: x * jnp.array([0.1]))(jnp.ones(1)).dtype
    dtype('float32')
    """

    @functools.wraps(function)
    def narrowed(*arguments: Any) -> Any:
        arguments = jax.tree.map(_rounded, arguments)
        with jax.enable_x64(False):
            return function(*arguments)

    return narrowed


def _rounded(x: Any) -> Any:
    kind = jnp.result_type(x)
    wide = {"float64": jnp.float32, "int64": jnp.int32}.get(str(kind))
    return x if wide is None else jnp.asarray(x).astype(wide)
