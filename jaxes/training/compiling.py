"""Compile and compute in the background, so that a person sees progress and can interrupt it.

XLA cannot be stopped while it compiles or computes, and Python must not end under a thread that is inside XLA: the
process would be aborted. So what is left of the work when Python ends is waited for, or, where an error has ended the
program, left behind with the process.
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

import jax

from jaxes.support.progress import Progress
from jaxes.training.interruption import Interruption

_threads: set[threading.Thread] = set()
_awaited: list[Any] = []  # arrays


class Compiling:
    """A jitted function, compiled in the background for these arguments; a plain function is ready at once.

    Args:
        function: jitted, or a plain one.
        *args: its arguments.
        since: when the clock that a person sees began (`time.monotonic()`): one for all that is compiled together.
        bar: what shows that the function is traced, which this thread does itself.
    """

    def __init__(self, function, *args, since: float | None = None, bar: Progress | None = None):
        began = time.monotonic()
        with contextlib.nullcontext() if bar is None else _ticking(bar, "tracing", began if since is None else since):
            lowered = function.lower(*args) if hasattr(function, "lower") else _Plain(function)
        self.waited = time.monotonic() - began
        self._result: Any = None
        self._error: BaseException | None = None

        def work():
            try:
                self._result = lowered.compile()
            except BaseException as error:
                self._error = error
            finally:
                _threads.discard(self._thread)

        self._began = time.monotonic() if since is None else since
        self._thread = threading.Thread(target=work, daemon=True)
        _threads.add(self._thread)
        self._thread.start()

    def wait(self, bar: Progress, interruption: Interruption) -> Callable:
        """Wait for the compiled function, and show how long it takes; raises KeyboardInterrupt if interrupted.

        `waited` is how many seconds nothing else was done, tracing included.
        """
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.5)
            if self._thread.is_alive():
                bar.say(f"compiling, {time.monotonic() - self._began:.0f} s")
            if interruption.received:
                raise KeyboardInterrupt
        self.waited += time.monotonic() - began
        if self._error is not None:
            raise self._error
        return self._result


@contextlib.contextmanager
def _ticking(bar: Progress, what: str, since: float):
    """Show how long something takes that this thread is busy with."""
    over = threading.Event()

    def tick():
        while not over.wait(0.5):
            bar.say(f"{what}, {time.monotonic() - since:.0f} s")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()


class _Plain(NamedTuple):
    function: Callable

    def compile(self) -> Callable:
        return self.function


def computed(results: Any) -> Any:
    """Return the results of a compiled program, a tree of arrays, when they are there. A signal is answered at once, as
    it would not be by `jax.block_until_ready`."""
    _awaited[:] = [x for x in jax.tree.leaves(results) if hasattr(x, "is_ready")]
    began = time.monotonic()
    while _is_computing():
        time.sleep(min(0.01, max(0.0001, (time.monotonic() - began) / 50)))
    _awaited.clear()
    return jax.block_until_ready(results)


def _is_computing() -> bool:
    return not all(x.is_ready() for x in _awaited)


def at_work() -> bool:
    """Whether anything is compiled or computed in the background."""
    return bool(_threads) or _is_computing()


def leave(code: int) -> NoReturn:
    """End the process at once, whatever is compiled or computed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)


@atexit.register
def _end() -> None:
    """When Python ends: after an error at once, else when the compilers are done. Another Ctrl-C does not wait."""
    if not at_work():
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
