"""What stands between NumPy objectives and strategies: numbers in float64, whatever JAX's default is.

A NumPy function returns doubles, and ranks that come from float32 call different values ties: near 1e8 already values
that differ by less than 8. So members are drawn, told and ranked in float64 (`in_doubles`), in programs of their own
that leave the user's setting as it is.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.strategies import STRATEGIES
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.vectors import is_vector

P = ParamSpec("P")
T = TypeVar("T")


def in_doubles(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called where JAX computes in float64.

    >>> in_doubles(lambda: jnp.zeros(()).dtype.name)()
    'float64'
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return call


def start_of(x0: Any) -> Any:
    """`x0` as a tree of NumPy arrays of doubles; a list or tuple of numbers is a vector.

    Raises:
        TypeError: if a leaf is anything but real numbers.
        ValueError: if there is no number.

    >>> start_of([1, 2])
    array([1., 2.])
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(x0, is_leaf=lambda x: x is None or is_vector(x))
    if not leaves:
        raise ValueError(f"x0 must hold at least one number, got {x0!r}")
    return tree.unflatten([_doubles(f"x0{jax.tree_util.keystr(path)}", leaf) for path, leaf in leaves])


def factory_of(strategy: Any) -> Callable[..., Strategy]:
    """A factory, which may be given by its name.

    >>> factory_of("cma_es").__name__
    'cma_es'
    """
    if isinstance(strategy, str):
        return STRATEGIES[checks.choice("strategy", strategy, STRATEGIES)]
    if isinstance(strategy, Strategy) or not callable(strategy):
        got = "a Strategy" if isinstance(strategy, Strategy) else repr(strategy)
        raise TypeError(
            "strategy must be a factory, which is called with a population's size and sigma, such as jaxes.cma_es "
            f"(without parentheses) or its name, got {got}"
        )
    return strategy


def made(factory: Callable[..., Strategy], size: int, sigma: float, options: dict[str, Any]) -> Strategy:
    """The strategy of a factory."""
    strategy = factory(size, sigma, **options)
    if not isinstance(strategy, Strategy):
        raise TypeError(f"strategy must return a jaxes.Strategy, got {type(strategy).__name__} from {factory!r}")
    return strategy


def positive(name: str, value: Any) -> float:
    """`value` as a finite float above 0."""
    hint = "; for coordinates of different scales, search x / scale" if np.size(value) > 1 else ""
    if isinstance(value, bool | str | list | tuple) or np.size(value) != 1 or not _is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} must be one number, got {value!r}{hint}")
    number = float(np.asarray(value).reshape(()))
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite, got {number:g}")
    return number


def value_of(value: Any) -> float:
    """What an objective has returned for one candidate, as a float: a number, or an array of one number.

    Raises:
        TypeError: if it is anything else.

    >>> value_of(np.array([2.5]))
    2.5
    """
    if isinstance(value, float | int):
        return float(value)
    if value is None or isinstance(value, str | bytes | tuple | list | dict) or not _is_real(np.asarray(value).dtype):
        raise TypeError(f"f must return one real number, got {_told(value)}{' (no return?)' if value is None else ''}")
    array = _unmasked(value)
    if array.size != 1:
        raise TypeError(
            f"f must return one real number for one candidate, got an array of shape {array.shape}; with "
            "vectorized=True it gets all candidates and returns a number for each"
        )
    return float(array.astype(np.float64).reshape(()))


def values_of(values: Any, size: int, what: str) -> np.ndarray:
    """Values of all candidates as float64[size]; NaN marks a failed evaluation.

    Args:
        values: an array or a sequence of `size` numbers, or arrays of one number.
        size: how many candidates there are.
        what: what must be told, for errors.

    Raises:
        TypeError: if one is no real number.
        ValueError: if there are not as many as candidates.
    """
    wanted = f"{what} must be {size} real numbers, one for each candidate in their order"
    if isinstance(values, list | tuple):
        values = [np.nan if value is np.ma.masked else value for value in values]
        for i, value in enumerate(values):
            several = isinstance(value, tuple | list) and np.size(value) != 1
            if several or value is None or isinstance(value, str | bytes | dict):
                raise TypeError(f"{wanted}; number {i} is {_told(value)}{'; NaN marks a failure' * (value is None)}")
        if len({np.shape(value) for value in values}) > 1:  # numbers, and arrays of one number
            values = [np.asarray(value).reshape(()) if np.size(value) == 1 else value for value in values]
    elif values is None or isinstance(values, str | bytes | dict | set) or callable(values):
        raise TypeError(f"{wanted}, got {_told(values)}")
    try:
        array = _unmasked(values)
        if array.dtype == object:
            array = np.array([value_of(value) for value in array.reshape(-1)]).reshape(array.shape)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wanted}: {error}") from None
    if not _is_real(array.dtype):
        raise TypeError(f"{wanted}, got the dtype {array.dtype}")
    if array.shape not in ((size,), (size, 1)):
        raise ValueError(f"{wanted}, got the shape {array.shape}")
    return array.astype(np.float64).reshape(size)


def _doubles(name: str, value: Any) -> np.ndarray:
    if value is None or isinstance(value, str | bytes) or not _is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} must hold real numbers, got {_told(value)}")
    array = np.asarray(value).astype(np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, got {value!r}")
    return array


def _unmasked(values: Any) -> np.ndarray:
    """The array, with NaN for what NumPy masks."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(np.float64), np.nan)
    return np.asarray(values)


def _is_real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _told(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, tuple | list | dict) else repr(value)
