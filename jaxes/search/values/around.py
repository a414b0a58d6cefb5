"""An engine around another one."""

from typing import Any

import numpy as np

from jaxes.strategy import Info


class Around:
    """What an engine has from the one inside; see `jaxes.search.engines.engine.Engine`.

    Args:
        inner: what searches.
    """

    def __init__(self, inner: Any):
        self._inner = inner
        self.size: int = inner.size

    @property
    def mean(self) -> Any:
        return self._inner.mean

    @property
    def sigma(self) -> float:
        return self._inner.sigma

    @property
    def info(self) -> Info | None:
        return self._inner.info

    @property
    def axis_lengths(self) -> np.ndarray:
        return self._inner.axis_lengths

    def ask(self) -> Any:
        return self._inner.ask()

    def widen(self, factor: float) -> None:
        self._inner.widen(factor)

    def inject(self, points: list[Any]) -> None:
        self._inner.inject(points)
