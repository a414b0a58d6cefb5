"""What stands between NumPy objectives and strategies: numbers in float64, whatever JAX's default is.

A NumPy function returns doubles, and ranks that come from float32 call different values ties: near 1e8 already values
that differ by less than 8. So members are drawn, told and ranked in float64 (`in_doubles`), in programs of their own
that leave the user's setting as it is.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from jaxes.strategies import STRATEGIES
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.numerals import is_real, told
from jaxes.support.vectors import is_vector

P = ParamSpec("P")
T = TypeVar("T")


def in_doubles(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called where JAX computes in float64.

    >>> in_doubles(lambda: jax.numpy.zeros(()).dtype.name)()
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
        return STRATEGIES[checks.named("strategy", strategy, STRATEGIES)]
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
    if isinstance(value, bool | str | list | tuple) or np.size(value) != 1 or not is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} must be one number, got {told(value)}{hint}")
    number = float(np.asarray(value).reshape(()))
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite, got {number:g}")
    return number


def _doubles(name: str, value: Any) -> np.ndarray:
    if value is None or isinstance(value, str | bytes) or not is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} must hold real numbers, got {told(value)}")
    array = np.asarray(value).astype(np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, got {value!r}")
    return array
