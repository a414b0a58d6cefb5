"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import threading
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Raised by a training loop that was asked to stop, after it has saved its state."""

    def __init__(self, generation: int, signal_number: int):
        super().__init__(f"interrupted at generation {generation}")
        self.generation = generation
        self.signal_number = signal_number


class Interruption:
    """A context in which the first signal is only noted, and a second one raises `KeyboardInterrupt` at once.

    Only the main thread can handle signals; in other threads the context does nothing.

    Args:
        at_once: whether the first signal raises as well, because there is nothing to save yet; may be changed.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, at_once: bool = False) -> None:
        self.received: int | None = None
        self.at_once = at_once
        self._before: dict[int, object] = {}
        self._reminder: threading.Timer | None = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyrefly: ignore[bad-argument-type]
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = number
        if again or self.at_once:
            # Python ignores what is raised in a destructor or in a weak reference's callback: then say it again.
            self._reminder = threading.Timer(2.0, self._remind, [number])
            self._reminder.daemon = True
            self._reminder.start()
            raise KeyboardInterrupt

    def _remind(self, number: int) -> None:
        if self._before:
            signal.pthread_kill(threading.main_thread().ident, number)  # pyrefly: ignore[bad-argument-type]
