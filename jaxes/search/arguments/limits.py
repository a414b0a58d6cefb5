"""When a search ends: what a budget and a target may be."""

import math
from typing import Any

import numpy as np

from jaxes.support.numerals import told
from jaxes.termination import Tolerances

TOLERANCES = Tolerances(growth=1e20)
"""Of searches in float64, which may begin with steps that are far too small, as pycma's may."""


def check(budget: Any, target: Any) -> None:
    """Raise unless a budget and a target are numbers, or None."""
    number = lambda value: isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if budget is not None and not (number(budget) and 1 <= budget < 2**63 and budget == int(budget)):
        raise ValueError(f"budget must be a whole number of evaluations, 1 or more, got {told(budget)}")
    if target is not None and (not number(target) or math.isnan(target)):
        raise ValueError(f"target must be a number, got {target!r}")
