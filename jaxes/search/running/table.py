"""The lines that a search prints."""

import math
import time
from typing import Any

import numpy as np

_HEADER = "{:>9}  {:>13}  {:>10}  {:>8}  {:>11}  {:>7}"
_LINES = 25  # between two headers


class Table:
    """A line now and then, at first often, then rarely: evaluations, lowest value, axis ratio, sigma, deviations, time.

    Args:
        verbose: 0 prints nothing; 1 begins when the search has taken 2 seconds; 2 at once.
        measure: what the value is called.
    """

    PATIENCE = 2.0

    def __init__(self, verbose: int, measure: str = "lowest value"):
        self._verbose = verbose
        self._header = _HEADER.format("nfev", measure, "axis ratio", "sigma", "deviations", "time")
        self._next = 0.0 if verbose > 1 else self.PATIENCE
        self._lines, self._shown = 0, -1

    def row(self, row: dict[str, Any], seconds: float) -> None:
        """Show a generation, if it is time."""
        first = self._verbose > 1 and self._lines < 3
        if self._verbose and (first or seconds >= self._next):
            self._line(row, seconds)
            self._next = max(seconds + 1.0, seconds * 1.25) if self._verbose == 1 or seconds > 1 else seconds + 0.25

    def end(self, row: dict[str, Any] | None, seconds: float, message: str) -> None:
        """Show the last generation and how the search ended, if something was shown before."""
        if self._lines and row is not None:
            if row["nfev"] != self._shown:
                self._line(row, seconds)
            print(message, flush=True)

    def _line(self, row: dict[str, Any], seconds: float) -> None:
        if self._lines % _LINES == 0:
            print(self._header)
        deviation = row["deviation"]
        print(
            f"{row['nfev']:9d}  {value(row['fun'])}  {row['axis_ratio']:10.2e}  {row['sigma']:8.2e}  "
            f"{np.min(deviation):.0e} {np.max(deviation):.0e}  {clock(seconds)}",
            flush=True,
        )
        self._lines, self._shown = self._lines + 1, row["nfev"]


def value(number: float) -> str:
    """A value in 13 columns, with more digits than other numbers have.

    >>> value(-1234.5678901), value(float("nan"))
    ('-1.234568e+03', '          nan')
    """
    return f"{number:13.6e}" if math.isfinite(number) else f"{number!s:>13}"


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(83.24)
    ' 1:23.2'
    """
    tenths = int(seconds * 10)
    return f"{tenths // 600:2d}:{tenths % 600 // 10:02d}.{tenths % 10}"


def now() -> float:
    """Seconds of a clock that is never set back."""
    return time.monotonic()
