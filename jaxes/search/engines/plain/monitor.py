"""The criteria of `jaxes.termination` in NumPy, for float64 and the distribution of `CMA`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxes.search.engines.plain.cma import CMA
from jaxes.termination import AXES_EVERY, RECORD, STAGNATION_EVERY, Tolerances, look_back, stagnation_least

_EPSILON = float(np.finfo(np.float64).eps)


class Monitor:
    """What the criteria remember of a search, and what they look at.

    Args:
        n: dimension.
        size: members per generation.
        tolerances: thresholds.
        patience: how many times as many generations as usual have to be alike.
    """

    NUMBERS = ("told", "first", "condition", "flat", "invalid")

    def __init__(self, n: int, size: int, tolerances: Tolerances, patience: int = 1):
        self._n, self._size, self._tolerances = n, size, tolerances
        self._least = stagnation_least(n, size)
        self._record = min(RECORD, 2 * self._least)
        self._back = min(patience * look_back(n, size), self._record)
        self._flat = 2 if patience == 1 else self._back
        self.told, self.first, self.condition, self.flat, self.invalid = 0, 0.0, 1.0, 0, 0
        self.shortest, self._longest = np.ones(n), 1.0
        self.best: list[float] = []
        self.median: list[float] = []

    def state(self) -> dict[str, Any]:
        names = (*self.NUMBERS, "shortest", "best", "median")
        return {name: np.array(getattr(self, name), np.float64) for name in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.told, self.flat, self.invalid = (int(state[name]) for name in ("told", "flat", "invalid"))
        self.first, self.condition = float(state["first"]), float(state["condition"])
        self.shortest = np.array(state["shortest"])
        self._longest = float(np.abs(self.shortest).max())
        self.best, self.median = state["best"].tolist(), state["median"].tolist()

    def look(self, search: CMA, deviations: np.ndarray, values: np.ndarray) -> list[str]:
        """The criteria that are met after a generation has been told, by their names in `jaxes.termination.REASONS`.

        Args:
            search: after `tell`.
            deviations: float64[n], the standard deviation of each coordinate.
            values: float64[size], lower is better.
        """
        tolerances, met = self._tolerances, []
        largest = float(deviations.max())
        if self.told == 0:
            self.first = largest
        some = not np.isnan(values).all()
        if some:
            ranked = np.sort(finite(values))
            best, worst = float(ranked[0]), float(ranked[-1])
            median = float(ranked[(self._size - 1) // 2] / 2 + ranked[self._size // 2] / 2)
            self.told += 1
            _push(self.best, best, self._record)
            _push(self.median, median, self._record)
            self.flat = self.flat + 1 if best == worst else 0
            self.invalid = 0
            change = abs(best - self.best[-self._back]) if self.told >= self._back else math.inf
            if change <= max(tolerances.fun, tolerances.fun_history):  # the range is at least that
                recent = self.best[-self._back :]
                lowest, highest = min(recent), max(recent)
                if max(highest, worst) - min(lowest, best) <= tolerances.fun:
                    met.append("tolfun")
                if highest - lowest <= tolerances.fun_history:
                    met.append("tolfunhist")
        else:
            self.flat, self.invalid = 0, self.invalid + 1
        if largest <= tolerances.x:
            met.append("tolx")
        if some and self.told % max(AXES_EVERY, 2 * self._n) == 0:
            self.condition, self.shortest = extent(search.root)
            self._longest = float(np.abs(self.shortest).max())
        if self.condition > min(tolerances.condition, 4 / _EPSILON):
            met.append("condition")
        if some and self.told % STAGNATION_EVERY == 0 and self._stagnant():
            met.append("stagnation")
        # The mean's rest is kept beside it, so a step counts down to twice the digits.
        smallest = _EPSILON**2 * float(np.abs(search.mean).max())
        if 0.1 * search.sigma * self._longest < smallest or 0.2 * float(deviations.min()) < smallest:
            reach = _EPSILON**2 * np.abs(search.mean)
            if (0.1 * search.sigma * np.abs(self.shortest) < reach).all():
                met.append("noeffectaxis")
            if (0.2 * deviations < reach).any():
                met.append("noeffectcoord")
        if largest > tolerances.growth * self.first:
            met.append("upsigma")
        if self.flat >= self._flat:
            met.append("flat")
        if self.invalid >= self._back:
            met.append("invalid")
        return met

    def _stagnant(self) -> bool:
        window = min(max(self.told // 5, min(self._least, self._record)), self._record)
        if self.told < window:
            return False
        part = max(3 * window // 10, 1)
        middle = lambda record: (np.median(record[-part:]), np.median(record[-window:][:part]))
        return all(new >= old for new, old in map(middle, (self.best, self.median)))


def finite(values: np.ndarray) -> np.ndarray:
    """NaN and infinity become the highest finite value, minus infinity the lowest; see `jaxes.shaping.finite`.

    >>> finite(np.array([3.0, np.nan, 1.0, -np.inf])).tolist()
    [3.0, 3.0, 1.0, 1.0]
    """
    fine = np.isfinite(values)
    if fine.all():
        return values
    known = values[fine] if fine.any() else np.zeros(1)
    return np.where(fine, values, np.where(values == -np.inf, known.min(), known.max()))


def extent(root: np.ndarray) -> tuple[float, np.ndarray]:
    """The condition number of A A^T, and its shortest axis."""
    axes, lengths, _ = np.linalg.svd(root)
    ratio = lengths[0] / max(lengths[-1], np.finfo(np.float64).tiny)
    return float(ratio**2) if math.isfinite(ratio) else math.inf, lengths[-1] * axes[:, -1]


def _push(record: list[float], value: float, most: int) -> None:
    record.append(value)
    if len(record) > most:
        del record[0]
