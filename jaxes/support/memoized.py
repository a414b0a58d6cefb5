"""Factories that return the same object for the same settings, so that `jit` compiles its functions only once."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def memoized(factory: Callable[P, T]) -> Callable[P, T]:
    """The factory with a cache: for equal arguments that can be hashed it returns the object that it made before.

    A strategy is made of closures, and `jit` keeps a program for each function. Without the cache, a second
    `jaxes.cma_es(8)` would compile everything again.

    >>> import jaxes
    >>> jaxes.cma_es(8, 0.5) is jaxes.cma_es(8, 0.5)
    True
    """
    kept = functools.lru_cache(maxsize=256, typed=True)(factory)

    @functools.wraps(factory)
    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return factory(*args, **kwargs)
        return kept(*args, **kwargs)

    return make
