"""What is written down of every generation of a search."""

from typing import Any

import numpy as np

COLUMNS = ("nfev", "best", "median", "worst", "fun", "run", "population_size", "sigma", "axis_ratio")
VECTORS = ("mean", "deviation")
_NUMBERS = 2**21  # of each vector that are kept, about
_ROWS = (256, 8192)


def row_of(values: np.ndarray, nfev: int, fun: float) -> dict[str, Any]:
    """What a row tells of a generation's values, float64[population_size], NaN where there is none."""
    known = np.sort(values[~np.isnan(values)])
    size = known.size
    best, worst = (float(known[0]), float(known[-1])) if size else (np.nan, np.nan)
    median = float(known[(size - 1) // 2] / 2 + known[size // 2] / 2) if size else np.nan
    row = {"nfev": nfev, "best": best, "median": median, "worst": worst, "fun": fun}
    return row | {"population_size": values.size}


class History:
    """Rows of a search, at most some thousand: of a longer one every second generation, then every fourth, ...

    Args:
        n: coordinates.
    """

    def __init__(self, n: int):
        self._most = int(np.clip(_NUMBERS // n, *_ROWS))
        self.generations, self._every = 0, 1
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """The row of the next generation."""
        if self.generations % self._every == 0:
            if len(self._rows) == self._most:
                del self._rows[1::2]
                self._every *= 2
            if self.generations % self._every == 0:
                self._rows.append(row)
        self.generations += 1
        self.last = row

    def columns(self) -> dict[str, np.ndarray]:
        """Every name's values; the last generation is always there."""
        rows = self._rows if not self._rows or self._rows[-1] is self.last else [*self._rows, self.last]
        return {name: np.array([row[name] for row in rows]) for name in (*COLUMNS, *VECTORS)} if rows else {}

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` takes."""
        return {**self.columns(), "generations": np.array(self.generations), "every": np.array(self._every)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` has returned."""
        self.generations, self._every = int(state["generations"]), int(state["every"])
        count = len(state["nfev"]) if "nfev" in state else 0
        scalar = lambda x: x.item() if np.ndim(x) == 0 else np.array(x)
        rows = [{name: scalar(state[name][i]) for name in (*COLUMNS, *VECTORS)} for i in range(count)]
        if rows:
            self.last = rows[-1]
            if (self.generations - 1) % self._every:
                rows.pop()
        self._rows = rows
