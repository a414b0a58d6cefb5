"""The maps of `jaxes.wrappers.boxes` in NumPy: "smooth", and whole numbers, of points within bounds float64[n]."""

import numpy as np


class Box:
    """Bounds that points are mapped into.

    Args:
        low: float64[n], -inf for no bound.
        high: likewise.

    >>> Box(np.array([0.0]), np.array([10.0])).smooth(np.array([[5.0], [12.0]])).round(6).tolist()
    [[5.0], [9.1]]
    """

    def __init__(self, low: np.ndarray, high: np.ndarray):
        self._low, self._high = low, high
        with np.errstate(over="ignore", invalid="ignore"):  # bounds near the largest double
            self._prepare(low, high)

    def _prepare(self, low: np.ndarray, high: np.ndarray) -> None:
        half = np.where(np.isfinite(low) & np.isfinite(high), (high - low) * 0.5, np.inf)
        margin = lambda bound: np.where(np.isfinite(bound), np.minimum(half, (1 + np.abs(bound)) * 0.05), 0.0)
        self._below, self._above = margin(low), margin(high)
        self._inner_low, self._inner_high = low + self._below, high - self._above
        self._outer = Mirror(low - self._below, high + self._above)

    def smooth(self, x: np.ndarray) -> np.ndarray:
        """Points, float64[..., n], within the bounds."""
        if ((x >= self._inner_low) & (x <= self._inner_high)).all():
            return x
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            y = self._outer.reflected(x)
            near_low = self._low + (y - self._low + self._below) ** 2 * (0.25 / self._below)
            near_high = self._high - (self._high + self._above - y) ** 2 * (0.25 / self._above)
        y = np.where(y < self._inner_low, near_low, np.where(y > self._inner_high, near_high, y))
        return np.clip(y, self._low, self._high)

    def unsmooth(self, x: np.ndarray) -> np.ndarray:
        """The point that `smooth` maps to `x`, float64[n] within the bounds."""
        with np.errstate(invalid="ignore"):
            near_low = self._low - self._below + 2 * np.sqrt(np.maximum(self._below * (x - self._low), 0))
            near_high = self._high + self._above - 2 * np.sqrt(np.maximum(self._above * (self._high - x), 0))
        return np.where(x < self._inner_low, near_low, np.where(x > self._inner_high, near_high, x))


class Mirror:
    """What lies outside of bounds is mirrored at them."""

    def __init__(self, low: np.ndarray, high: np.ndarray):
        self._low, self._high = low, high
        self._both = np.isfinite(low) & np.isfinite(high)
        self._width, self._start = np.where(self._both, high - low, 1.0), np.where(self._both, low, 0.0)

    def reflected(self, x: np.ndarray) -> np.ndarray:
        outside = (x < self._low) | (x > self._high)
        if not outside.any():
            return x
        turn = np.mod(x - self._start, 2 * self._width)
        folded = self._start + np.minimum(turn, 2 * self._width - turn)
        one_sided = np.where(x < self._low, 2 * self._low - x, 2 * self._high - x)
        return np.where(outside, np.clip(np.where(self._both, folded, one_sided), self._low, self._high), x)


class Whole:
    """Whole numbers within bounds, each with an equal part of the line."""

    def __init__(self, low: np.ndarray, high: np.ndarray):
        self.first, self.last = np.ceil(low), np.floor(high)
        self._mirror = Mirror(self.first - 0.5, self.last + 0.5)

    def rounded(self, x: np.ndarray) -> np.ndarray:
        return np.clip(np.round(self._mirror.reflected(x)), self.first, self.last) + 0.0  # no -0
