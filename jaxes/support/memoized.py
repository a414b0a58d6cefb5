"""The same settings give the same object, so that what `jit` has compiled for one serves the next."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def memoized(factory: Callable[P, T]) -> Callable[P, T]:
    """The factory, which returns the object that it made before for equal arguments, if they can be hashed.

    Strategies are closures, and `jit` keeps programs by function: without this, a second `jaxes.cma_es(8)` would
    compile everything again.

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
