"""An Optuna search space as a box of numbers: every parameter one coordinate."""

import math
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

_FEW = 16  # values of a logarithmic int up to which it is searched as a whole number


class Coordinate(NamedTuple):
    """One parameter."""

    low: float  # where the coordinate begins; a parameter with steps counts them from 0
    high: float
    whole: bool  # whether it is a whole number: of steps from the parameter's lowest value
    log: bool
    distribution: Any


def coordinate(distribution: Any) -> Coordinate | None:
    """The coordinate of a distribution; None for what has no order, or one value only.

    An int, or a float with a step, is a whole number of steps. A logarithmic int with many values is searched as the
    logarithm of a real number, which is rounded.

    >>> from optuna.distributions import FloatDistribution, IntDistribution
    >>> coordinate(IntDistribution(2, 10, step=2))[:4]
    (0.0, 4.0, True, False)
    >>> coordinate(FloatDistribution(1.0, math.e, log=True))[:4]
    (0.0, 1.0, False, True)
    """
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution) or distribution.single():
        return None
    low, high, step = distribution.low, distribution.high, distribution.step
    is_int = isinstance(distribution, IntDistribution)
    if distribution.log and not (is_int and high - low < _FEW):
        half = 0.5 if is_int else 0.0
        return Coordinate(math.log(low - half), math.log(high + half), False, True, distribution)
    if step is not None:
        return Coordinate(0.0, float(round((high - low) / step)), True, False, distribution)
    return Coordinate(float(low), float(high), False, False, distribution)


class Space:
    """Parameters by their names, in the order of their names.

    Coordinates are in units of their width, so that one step size serves all; whole numbers are in units of 1.
    """

    def __init__(self, distributions: Mapping[str, Any]):
        found = {name: coordinate(distributions[name]) for name in sorted(distributions)}
        self.coordinates: dict[str, Coordinate] = {name: one for name, one in found.items() if one is not None}
        every = self.coordinates.values()
        self.whole = np.array([one.whole for one in every], bool)
        self._low = np.array([one.low for one in every])
        self._width = np.array([one.high - one.low for one in every])
        self.high = np.where(self.whole, self._width, 1.0)  # the lower bounds are 0

    def deviations(self, share: float) -> np.ndarray:
        """Standard deviations of so much of each width: float64[n]."""
        return share * (self.high + self.whole)  # k + 1 values have as many parts of width 1

    def point(self, values: Mapping[str, Any]) -> np.ndarray:
        """The point of parameters, in the middle where there is no value: float64[n].

        Raises:
            TypeError: if a value is no number.
            ValueError: if it lies outside of its parameter's range.
        """
        x = 0.5 * self.high
        for i, (name, one) in enumerate(self.coordinates.items()):
            if name in values:
                x[i] = _unit(f"x0[{name!r}]", values[name], one)
        return x

    def outside(self, x: np.ndarray) -> np.ndarray:
        """How far points lie outside of the box: float64[..., n], 0 within."""
        half = 0.5 * self.whole  # what is rounded to a whole number in the box
        return np.maximum(x - self.high - half, 0) + np.maximum(-half - x, 0)

    def parameters(self, x: np.ndarray) -> dict[str, Any]:
        """The parameters of a point, float64[n], or of the nearest one in the box."""
        unit = np.where(self.whole, x, self._low + self._width * x)
        return {name: _value(one, u) for (name, one), u in zip(self.coordinates.items(), unit.tolist(), strict=True)}


def _unit(name: str, value: Any, one: Coordinate) -> float:
    distribution = one.distribution
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not distribution.low <= value <= distribution.high:
        raise ValueError(
            f"{name} must lie in the parameter's range, {distribution.low:g} to {distribution.high:g}, got {value:g}"
        )
    value = float(value)
    if one.whole:
        return (value - distribution.low) / distribution.step
    return ((math.log(value) if one.log else value) - one.low) / (one.high - one.low)


def _value(one: Coordinate, u: float) -> int | float:
    distribution = one.distribution
    if one.whole:
        steps = min(max(round(u), 0), round(one.high))
        value = distribution.low + steps * distribution.step
    else:
        value = math.exp(u) if one.log else u
    if isinstance(distribution.low, int):
        value = round(value)
    return min(max(value, distribution.low), distribution.high)
