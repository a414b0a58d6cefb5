"""What a search is told, checked."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxes.search.arguments.bounds import Box
from jaxes.strategy import Strategy
from jaxes.termination import Tolerances


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every run of a search has in common."""

    factory: Callable[..., Strategy]
    options: dict[str, Any]  # of the factory
    sigma: float
    units: np.ndarray  # float64[n]: the unit of each coordinate in which sigma is one
    box: Box | None
    whole: np.ndarray | None  # bool[n]: which coordinates are whole numbers
    tolerances: Tolerances
    seed: int
    noisy: bool = False
    limited: bool = False  # whether there is a budget
    constrained: bool = False
