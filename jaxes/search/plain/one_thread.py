"""One thread for the products of small matrices: several wait for each other longer than they compute.

On two busy cores a generation of 100 coordinates takes ten times as long with NumPy's own choice of threads.
"""

import contextlib
import functools
from typing import Any

_SMALL = range(24, 1001)  # coordinates; fewer have one thread anyway


def one_thread(n: int) -> contextlib.AbstractContextManager[Any]:
    """A context in which NumPy's products of n x n matrices have one thread, where NumPy would take several too early.

    >>> with one_thread(100):
    ...     pass
    """
    return _controller().limit(limits=1) if n in _SMALL else contextlib.nullcontext()


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
