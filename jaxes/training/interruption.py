"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import threading
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A training loop was asked to stop, and has saved what it had."""

    def __init__(self, generation: int, signal_number: int):
        super().__init__(f"interrupted at generation {generation}")
        self.generation = generation
        self.signal_number = signal_number


class Interruption:
    """While entered, the first signal is noted instead of raised; a second one raises `KeyboardInterrupt` at once.

    Only the main thread can do so; elsewhere nothing changes.
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
