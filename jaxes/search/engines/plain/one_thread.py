"""One thread for the products of small matrices: several wait for each other longer than they compute.

On two busy cores a generation of 100 coordinates takes ten times as long with NumPy's own choice of threads.
"""

import contextlib
import functools
from typing import Any

_SMALL = range(12, 1001)  # coordinates; fewer have one thread anyway, also in decompositions
_ONE = 200_000  # products of numbers in a product of matrices, for which NumPy takes one thread itself


def one_thread(n: int, rows: int | None = None) -> contextlib.AbstractContextManager[Any]:
    """A context in which NumPy's products of n x n matrices have one thread, where NumPy would take several too early.

    Args:
        n: rows and columns of a matrix.
        rows: of another one that is multiplied with it, if that is all; by default there are decompositions, too.

    >>> with one_thread(100):
    ...     pass
    """
    some = n in _SMALL and (rows is None or rows * n * n > _ONE)
    return _Limited() if some else contextlib.nullcontext()


class _Limited(contextlib.AbstractContextManager[None]):
    """The same as `threadpoolctl.threadpool_limits` in a tenth of the time, a microsecond for each library."""

    def __enter__(self) -> None:
        self._before = [(library, library.get_num_threads()) for library in _libraries()]
        for library, count in self._before:
            if count != 1:
                library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        for library, count in self._before:
            if count != 1:
                library.set_num_threads(count)


@functools.cache
def _libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
