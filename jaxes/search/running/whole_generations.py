"""Ctrl-C that waits until a generation has been learned and remembered."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class WholeGenerations:
    """A context that Ctrl-C does not leave in the middle.

    >>> whole = WholeGenerations()
    >>> with whole.installed(), whole:
    ...     pass
    """

    def __init__(self) -> None:
        self._inside = self._waiting = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let Ctrl-C wait; where it is answered by something other than Python's own handler, nothing changes."""
        mine = threading.current_thread() is threading.main_thread()
        if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._answer)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def __enter__(self) -> None:
        self._inside = True

    def __exit__(self, *_: object) -> None:
        self._inside = False
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt

    def _answer(self, number: int, frame: Any) -> None:
        if self._inside:
            self._waiting = True
        else:
            signal.default_int_handler(number, frame)
