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
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyrefly: ignore[bad-argument-type]
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
