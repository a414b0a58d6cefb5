"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import sys
import threading
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Raised by a training loop that was asked to stop, after it has saved its state; `kept` says where."""

    def __init__(self, generation: int, signal_number: int, kept: str = ""):
        super().__init__(f"interrupted at generation {generation}{kept and '; '}{kept}")
        self.generation = generation
        self.signal_number = signal_number


class Interruption:
    """A context in which the first signal is only noted, and a second one raises `KeyboardInterrupt` at once.

    Only the main thread can handle signals; in other threads the context does nothing.

    Python drops what is raised in a destructor or in a weak reference's callback, and JAX has callbacks in the garbage
    collector. Then the signal is said again at once, and every second while the context is not left; and a context that
    should have been left raises when it ends as if nothing had happened.

    Args:
        at_once: whether the first signal raises as well, because there is nothing to save yet; may be changed.
        signals: which ones.
    """

    def __init__(self, at_once: bool = False, signals: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)) -> None:
        self.received: int | None = None
        self.at_once = at_once
        self._signals = signals
        self._again = False
        self._before: dict[int, object] = {}
        self._reminder: threading.Timer | None = None
        self._hook: Any = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._signals}
            self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyrefly: ignore[bad-argument-type]
        if self._before:
            sys.unraisablehook = self._hook
        before, self._before = self._before, {}
        if before and kind is None and self.at_once and self.received is not None:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._again = self.received is not None
        self.received = number
        if self._again or self.at_once:
            self._say_again(number, 1.0)
            raise KeyboardInterrupt

    def _dropped(self, what: Any) -> None:
        """Python has dropped an exception: it is said again if it was a signal, and printed if it was another."""
        if self.received is not None and what.exc_type is KeyboardInterrupt:
            self._say_again(self.received, 0.02)
        else:
            self._hook(what)

    def _say_again(self, number: int, seconds: float) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
        self._reminder = threading.Timer(seconds, self._remind, [number])
        self._reminder.daemon = True
        self._reminder.start()

    def _remind(self, number: int) -> None:
        if self._before and (self._again or self.at_once):
            signal.pthread_kill(threading.main_thread().ident, number)  # pyrefly: ignore[bad-argument-type]
