"""Compile in the background, so that a person sees progress and can interrupt it."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxes.support.progress import Progress
from jaxes.training.interruption import Interruption


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

        self._began = time.monotonic()
        self._thread = threading.Thread(target=work, daemon=True)
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
