"""What `scipy.optimize.minimize` hands to a method, in the terms of a search: bounds and constraints."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxes.support.numerals import told

_EQUAL = 1e-6


class Box(NamedTuple):
    """Bounds of all coordinates, and which of them are free."""

    low: np.ndarray  # float64[n], -inf where there is no bound
    high: np.ndarray  # float64[n]
    free: np.ndarray  # bool[n]: False where both bounds are equal

    def whole(self, part: Any) -> np.ndarray:
        """A point, or points along the first axis, with the fixed coordinates: float64[..., n]."""
        part = np.asarray(part, float)
        if self.free.all():
            return part
        point = np.broadcast_to(self.low, (*part.shape[:-1], self.low.size)).copy()
        point[..., self.free] = part
        return point


def box_of(bounds: Any, n: int) -> Box:
    """Bounds as SciPy takes them: `scipy.optimize.Bounds`, a sequence of n pairs, or None.

    Raises:
        TypeError: if they are anything else.
        ValueError: if there are not n of them, or a lower one is above its upper one.

    >>> box_of([(0, 1), (None, 2), (3, 3)], 3)
    Box(low=array([  0., -inf,   3.]), high=array([1., 2., 3.]), free=array([ True,  True, False]))
    """
    if bounds is None:
        low, high = np.full(n, -np.inf), np.full(n, np.inf)
    elif hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        try:
            low, high = (np.broadcast_to(np.asarray(side, float), (n,)) for side in (bounds.lb, bounds.ub))
        except ValueError:
            raise ValueError(
                f"bounds must have {n} lower and {n} upper ones, as x0 has numbers, "
                f"got shapes {np.shape(bounds.lb)} and {np.shape(bounds.ub)}"
            ) from None
    else:
        low, high = _of_pairs(bounds, n)
    if np.isnan(low).any() or np.isnan(high).any():
        raise ValueError("bounds must not be NaN; None or an infinite number is no bound")
    if (wrong := np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))).size:
        i = wrong[0]
        raise ValueError(f"bounds must rise, got {low[i]:g} to {high[i]:g} for coordinate {i}")
    return Box(low, high, low < high)


def _of_pairs(bounds: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    wanted = f"bounds must be scipy.optimize.Bounds or {n} pairs (low, high), one for each number of x0"
    if not isinstance(bounds, Sequence | np.ndarray) or isinstance(bounds, str):
        try:
            bounds = list(bounds)  # zip(low, high)
        except TypeError:
            raise TypeError(f"{wanted}, got {told(bounds)}") from None
    if len(bounds) != n:
        raise ValueError(f"{wanted}, got {len(bounds)}")
    sides = np.empty((2, n))
    for i, pair in enumerate(bounds):
        if isinstance(pair, str) or np.shape(pair) != (2,):
            raise ValueError(f"{wanted}; number {i} is {told(pair)}")
        for side, (value, absent) in enumerate(zip(pair, (-np.inf, np.inf), strict=True)):
            try:
                sides[side, i] = absent if value is None else value
            except (TypeError, ValueError):
                raise TypeError(f"{wanted}; number {i} has {told(value)}") from None
    return sides[0], sides[1]


def start_within(x0: np.ndarray, box: Box) -> np.ndarray:
    """`x0`, moved to the bounds with the warning that SciPy gives."""
    from scipy.optimize import OptimizeWarning

    inside = np.clip(x0, box.low, box.high)
    if (inside != x0).any():
        warnings.warn("Initial guess is not within the specified bounds", OptimizeWarning, stacklevel=4)
    return inside


def usual_sigma(x0: np.ndarray, box: Box) -> np.ndarray:
    """A quarter of the width between two bounds; elsewhere of |x0|, or of 1 if that is more. float64[n]

    >>> usual_sigma(np.array([0.5, 40.0]), box_of([(0, 1), (None, None)], 2)).tolist()
    [0.25, 10.0]
    """
    width = box.high - box.low
    return np.where(np.isfinite(width), width, np.maximum(1.0, np.abs(x0))) / 4


def limits_of(constraints: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Constraints as SciPy takes them, as one function g whose values must all be at most 0; None if there are none.

    An equality holds where it is met to 1e-6.

    Args:
        constraints: `LinearConstraint`, `NonlinearConstraint`, a dictionary with "type" and "fun", or several of them.

    Raises:
        TypeError: if one is anything else.
        ValueError: if a dictionary lacks its type or its function.

    >>> limits_of([{"type": "ineq", "fun": lambda x: x[0] - 1}])(np.array([3.0])).tolist()
    [-2.0]
    """
    single = isinstance(constraints, dict) or hasattr(constraints, "lb")
    given = [constraints] if single else list(constraints or ())
    parts = [_part(one) for one in given if not _is_empty(one)]
    if not parts:
        return None
    return lambda x: np.concatenate([part(x) for part in parts])


def _is_empty(constraint: Any) -> bool:
    """Whether it limits nothing."""
    sides = [np.asarray(getattr(constraint, name, 0.0), float) for name in ("lb", "ub")]
    return bool((sides[0] == -np.inf).all() and (sides[1] == np.inf).all())


def _part(constraint: Any) -> Callable[[np.ndarray], np.ndarray]:
    if isinstance(constraint, dict):
        return _of_dictionary(constraint)
    if not (hasattr(constraint, "lb") and hasattr(constraint, "ub")):
        raise TypeError(
            "constraints must be LinearConstraint, NonlinearConstraint or dictionaries with 'type' and 'fun', "
            f"got {told(constraint)}"
        )
    if hasattr(constraint, "A"):
        matrix = constraint.A.toarray() if hasattr(constraint.A, "toarray") else np.atleast_2d(constraint.A)
        value = lambda x: matrix @ x
    else:
        value = lambda x: np.atleast_1d(constraint.fun(x))
    lb, ub = np.asarray(constraint.lb, float), np.asarray(constraint.ub, float)

    def part(x):
        y = np.asarray(value(x), float)
        low, high = np.broadcast_to(lb, y.shape), np.broadcast_to(ub, y.shape)
        equal = low == high
        sides = [(low - y)[np.isfinite(low) & ~equal], (y - high)[np.isfinite(high) & ~equal]]
        return np.concatenate([*sides, np.abs(y - low)[equal] - _EQUAL])

    return part


def _of_dictionary(constraint: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    kind, fun, args = constraint.get("type"), constraint.get("fun"), constraint.get("args", ())
    if kind not in ("eq", "ineq") or not callable(fun):
        raise ValueError(f"constraints: a dictionary needs 'type': 'eq' or 'ineq', and 'fun', got {constraint!r}")
    value = lambda x: np.atleast_1d(np.asarray(fun(x, *args), float))
    return (lambda x: np.abs(value(x)) - _EQUAL) if kind == "eq" else (lambda x: -value(x))
