"""When a search ends: what a budget and a target may be."""

import math
from typing import Any

import numpy as np

from jaxes.support.numerals import told
from jaxes.termination import Tolerances


def tolerances_of(sigma: float) -> Tolerances:
    """Thresholds of searches in float64, where the user gives none, for an initial step size.

    Such a search may begin with steps that are far too small, as pycma's may, or in small units.
    """
    return Tolerances(growth=1e20, x=1e-11 * min(1.0, sigma))


def check(budget: Any, target: Any, seconds: Any = None) -> None:
    """Raise unless a budget, a target and a time are numbers, or None."""
    number = lambda value: isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if budget is not None and not (number(budget) and 1 <= budget < 2**63 and budget == int(budget)):
        raise ValueError(f"budget must be a whole number of evaluations, 1 or more, got {told(budget)}")
    if target is not None and (not number(target) or math.isnan(target)):
        raise ValueError(f"target must be a number, got {target!r}")
    if seconds is not None and (not number(seconds) or not seconds > 0):
        raise ValueError(f"seconds must be a number above 0, got {seconds!r}")
