"""Compile in the background, so that a person sees progress and can interrupt it.

XLA cannot be stopped while it compiles, and Python must not end under a thread that is inside XLA: the whole process
would be aborted. So what is left of the work when Python ends is waited for, or, where an error has ended the program,
left behind with the process.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from jaxes.support.progress import Progress
from jaxes.training.interruption import Interruption

_threads: set[threading.Thread] = set()


class Compiling:
    """A jitted function, compiled in the background for these arguments; a plain function is ready at once."""

    def __init__(self, function, *args):
        lowered = function.lower(*args) if hasattr(function, "lower") else _Plain(function)
        self._result: Any = None
        self._error: BaseException | None = None

        def work():
            try:
                self._result = lowered.compile()
            except BaseException as error:
                self._error = error
            finally:
                _threads.discard(self._thread)

        self._began = time.monotonic()
        self._thread = threading.Thread(target=work, daemon=True)
        _threads.add(self._thread)
        self._thread.start()

    def wait(self, bar: Progress, interruption: Interruption) -> Callable:
        """Wait for the compiled function, and show how long it takes; raises KeyboardInterrupt if interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)
            if self._thread.is_alive():
                bar.say(f"compiling, {time.monotonic() - self._began:.0f} s")
            if interruption.received:
                raise KeyboardInterrupt
        if self._error is not None:
            raise self._error
        return self._result


class _Plain(NamedTuple):
    function: Callable

    def compile(self) -> Callable:
        return self.function


def at_work() -> bool:
    """Whether anything is compiled in the background."""
    return bool(_threads)


def leave(code: int) -> NoReturn:
    """End the process at once, whatever is compiled."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)


@atexit.register
def _end() -> None:
    """When Python ends: after an error at once, else when the compilers are done. Another Ctrl-C does not wait."""
    if not _threads:
        return
    error = getattr(sys, "last_value", None)  # what Python has printed last, if it was not caught
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)  # as Python itself would
    if error is not None:
        leave(1)
    try:
        for thread in list(_threads):
            thread.join()
    except KeyboardInterrupt:
        leave(130)
