"""Where the members of a search are, as in `jaxes.wrappers.placed`: in units, in a box, on whole numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxes.search.engines.plain.boxes import Box, Whole
from jaxes.search.engines.plain.cma import CMA

_FROZEN = 0.5  # deviation of a whole number below which most members share it
_PULL = 0.1  # share of its way to the middle between two thresholds, each generation
_FLIPPING = 1.0  # deviation of a number with two values below which steps say nothing about the step size
_WIDEST = 1e30  # units of a coordinate, in those of the parameters


class Place:
    """The map from points of a search to members, and the margin that keeps whole numbers moving.

    Args:
        units: float64[n], the unit in which each coordinate is searched.
        low, high: float64[n], or None without bounds.
        whole: bool[n], which coordinates are whole numbers; None without any.
        margin: the least probability that a whole number leaves its value, see `jaxes.wrappers.integer`.
    """

    def __init__(
        self,
        units: np.ndarray,
        low: np.ndarray | None = None,
        high: np.ndarray | None = None,
        whole: np.ndarray | None = None,
        margin: float = 0.0,
    ):
        self.units, self._margin = units, margin
        self._plain = bool((units == 1).all()) and whole is None
        self._box = None if low is None or high is None else Box(low, high)
        self._whole = None if whole is None or not whole.any() else whole
        if self._whole is not None:
            unlimited = np.full(units.size, np.inf)
            self._rounding = Whole(-unlimited if low is None else low, unlimited if high is None else high)
            self._binary = self._whole & (self._rounding.last - self._rounding.first == 1)

    def members(self, points: np.ndarray) -> np.ndarray:
        """float64[..., n]: the members that stand for points."""
        x = points if self._plain else points * self.units
        boxed = x if self._box is None else self._box.smooth(x)
        return boxed if self._whole is None else np.where(self._whole, self._rounding.rounded(x), boxed)

    def point(self, member: np.ndarray) -> np.ndarray:
        """float64[n]: a point that stands for a member within the bounds."""
        x = member
        if self._box is not None:
            x = (
                self._box.unsmooth(member)
                if self._whole is None
                else np.where(self._whole, member, self._box.unsmooth(member))
            )
        return x / self.units

    def correct(self, search: CMA, deviations: np.ndarray) -> None:
        """Widen the units of whole numbers, and move the search's mean, so that each leaves its value often enough.

        The formulas are those of `jaxes.wrappers.integer`; quantiles are SciPy's. Besides, a mean that most members
        share is drawn to the middle between its thresholds: near one of them half of the members would leave it.
        """
        if self._whole is None:
            return
        from scipy.special import ndtr, ndtri

        m, least = self.units * search.mean, 0.5 * self._margin
        frozen = self._whole & ~self._binary & (self.units * deviations < _FROZEN)
        if frozen.any():
            m = np.where(frozen, m + _PULL * (np.ceil(m - 0.5) - m), m)
            search.mean = np.where(frozen, m / self.units, search.mean)
        spread = np.maximum(self.units * deviations, np.finfo(np.float64).tiny)
        low = np.ceil(m - 0.5) - 0.5
        high = low + 1
        p_low, p_high = ndtr((low - m) / spread), ndtr((m - high) / spread)
        change = self._whole & ((p_low < least) | (p_high < least))
        if not change.any():
            return
        p_middle = 1 - p_low - p_high
        q_low, q_high = np.maximum(least, p_low), np.maximum(least, p_high)
        rest = (1 - q_low - q_high - p_middle) / np.maximum(q_low + q_high + p_middle - 3 * least, 1e-6)
        q_low, q_high = q_low + rest * (q_low - least), q_high + rest * (q_high - least)
        below, above = -ndtri(q_low), -ndtri(q_high)
        width = np.maximum(below + above, 1e-6)
        moved = (low * above + high * below) / width
        wider = np.minimum((high - low) / (width * deviations), _WIDEST)
        self.units = np.where(change, wider, self.units)
        search.mean = np.where(change, moved / self.units, search.mean)

    def still(self, deviations: np.ndarray) -> np.ndarray | None:
        """int[k]: the numbers with two values whose steps say nothing about the step size.

        The steps that are selected stay on one side of the only threshold, and so are short, whatever the step size of
        the other coordinates should be.
        """
        if self._whole is None or not self._binary.any():
            return None
        return np.flatnonzero(self._binary & (self.units * deviations < _FLIPPING))

    def state(self) -> dict[str, Any]:
        return {"units": self.units}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.units = np.array(state["units"])
