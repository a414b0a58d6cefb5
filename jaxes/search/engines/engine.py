"""What searches: in NumPy where `jaxes.search.engines.plain` has the strategy, in compiled programs otherwise."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from jaxes.search.arguments.bounds import ravel
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.compiled import CompiledEngine
from jaxes.search.engines.plain.engine import PlainEngine, knows
from jaxes.search.values.constrained import ConstrainedEngine
from jaxes.search.values.repeated import NoisyEngine
from jaxes.strategy import Info

LARGEST_PLAIN = 1000  # coordinates; of more, compiled programs take less time


class Engine(Protocol):
    """One run of a search: points to evaluate, and what their values teach."""

    size: int
    """Members per generation."""

    @property
    def mean(self) -> Any:
        """What the search recommends, a tree like `x0`."""
        ...

    @property
    def sigma(self) -> float:
        """The step size."""
        ...

    @property
    def info(self) -> Info | None:
        """Of the last generation."""
        ...

    @property
    def axis_lengths(self) -> np.ndarray:
        """float64[n]: standard deviations along the axes of the distribution, rising."""
        ...

    def ask(self) -> Any:
        """The members of this generation, leaves float64[size, ...]."""
        ...

    def tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        """Learn.

        Args:
            values: float64[size], lower is better; NaN for a failed evaluation.

        Returns:
            The criteria that are met, and `sigma`, `axis_ratio`, `mean` float64[n] and `deviation` float64[n].
        """
        ...

    def widen(self, factor: float) -> None:
        """Multiply the step size."""
        ...

    def inject(self, points: list[Any]) -> None:
        """Make points members of the next generation."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """All that changes."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` has returned."""
        ...


def engine_of(settings: Settings, run: int, size: int, sigma: float, start: Any) -> Engine:
    """The engine of a run.

    Args:
        settings: of the search.
        run: its number, from 0: each has random numbers of its own.
        size: members per generation.
        sigma: initial step size.
        start: a tree of float64 arrays.
    """
    kind = PlainEngine if knows(settings) and ravel(start).size <= LARGEST_PLAIN else CompiledEngine
    if kind is CompiledEngine and settings.whole is not None and (settings.units != 1).any():
        raise ValueError("sigma must be one number where a strategy other than cma_es searches whole numbers")
    engine = kind(settings, run, size, sigma, start)
    if settings.constrained:
        return ConstrainedEngine(engine)
    return NoisyEngine(engine, settings, run) if settings.noisy else engine
