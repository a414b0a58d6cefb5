"""One run of `jaxes.cma_es` in NumPy."""

import math
from collections.abc import Mapping
from itertools import starmap
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments.bounds import ravel
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.plain.cma import CMA, RATES
from jaxes.search.engines.plain.monitor import Monitor
from jaxes.search.engines.plain.one_thread import one_thread
from jaxes.search.engines.plain.place import Place
from jaxes.strategies.cma_es import cma_es
from jaxes.strategy import Info
from jaxes.support import checks

_ALL_WHOLE = 4  # times as large a margin where no other coordinate has to converge: more neighbors are tried
_PATIENCE = 2  # with whole numbers: a better one may be found after many generations with the same values


def knows(settings: Settings) -> bool:
    """Whether the search is one of plain numbers by `cma_es`."""
    return settings.factory is cma_es and all(starmap(_is_plain, settings.options.items()))


def _is_plain(name: str, value: Any) -> bool:
    """Whether an option is right; what is wrong is told by `cma_es` itself."""
    if name == "active":
        return isinstance(value, bool)
    if name == "interval":
        return value is None or checks.is_integer(value, 1)
    if name not in RATES or value is None:
        return name in RATES
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and math.isfinite(value) and bool(value > 0 or (value == 0 and name != "d_sigma"))


def _margin(whole: np.ndarray | None, n: int, size: int) -> float:
    """The least probability that a whole number leaves its value; see `jaxes.wrappers.integer`."""
    every = whole is not None and whole.all()
    return min(_ALL_WHOLE / (n * size), 0.2) if every else 1 / (n * size)


class PlainEngine:
    """See `jaxes.search.engines.engine.Engine`."""

    def __init__(self, settings: Settings, run: int, size: int, sigma: float, start: Any):
        x, box = ravel(start), settings.box
        checks.population_size(size)
        self.size, self._start = size, start
        low, high = (None, None) if box is None else box
        self._place = Place(settings.units, low, high, settings.whole, _margin(settings.whole, x.size, size))
        options = settings.options | {"active": settings.options.get("active", True)}
        self._search = CMA((settings.seed, run), self._place.point(x), sigma, size, **options)
        self._monitor = Monitor(x.size, size, settings.tolerances, 1 if settings.whole is None else _PATIENCE)
        self._injected: list[np.ndarray] = []
        self._steps: np.ndarray | None = None
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray, float] | None = None
        leaves, self._tree = jax.tree.flatten(start)
        self._shapes = [np.shape(leaf) for leaf in leaves]
        self._is_vector = isinstance(start, np.ndarray) and start.ndim == 1
        self._ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]

    @property
    def mean(self) -> Any:
        return self._unravel(self._place.members(self._search.mean))

    @property
    def sigma(self) -> float:
        return self._search.sigma

    @property
    def axis_lengths(self) -> np.ndarray:
        scaled = self._search.sigma * (self._place.units[:, None] * self._search.root)
        return np.linalg.svd(scaled, compute_uv=False)[::-1]

    @property
    def info(self) -> Info | None:
        return None if self._last is None else _info(*self._last)

    def ask(self) -> Any:
        with one_thread(self._search.n, rows=self.size):
            members = self._place.members(self._search.ask())
        self._steps = None
        if self._injected:
            points = np.stack(self._injected)
            members[: len(points)] = points
            self._steps = self._search.steps_to([self._place.point(x) for x in points])
        return self._unravel(members)

    def inject(self, points: list[Any]) -> None:
        """Make points members of the next generation; see `CMA.steps_to`."""
        self._injected = [ravel(x) for x in points]

    def tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        with one_thread(self._search.n):
            return self._tell(values)

    def _tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        search = self._search
        mean, sigma = search.mean, search.sigma
        search.tell(values, self._steps, self._place.still(self._deviations()))
        self._last = values, mean, search.mean, sigma
        self._steps, self._injected = None, []
        deviations = self._deviations()
        self._place.correct(search, deviations)
        met = self._monitor.look(search, deviations, values)
        members, units = self._place.members(search.mean), self._place.units
        return met, {
            "sigma": search.sigma,
            "axis_ratio": math.sqrt(self._monitor.condition),
            "mean": np.array(members),
            "deviation": deviations * units,
        }

    def widen(self, factor: float) -> None:
        search = self._search
        lengths = np.sqrt(np.einsum("ij,ij->i", search.root, search.root))
        scale = float(np.exp(np.log(lengths).mean()))  # sigma is the size of steps, however often they are widened
        search.sigma *= factor * scale
        search.root = search.root / scale

    def state(self) -> dict[str, np.ndarray]:
        parts = {"search": self._search, "monitor": self._monitor, "place": self._place}
        return {
            f"{name} {field}": np.array(value) for name, part in parts.items() for field, value in part.state().items()
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for name, part in (("search", self._search), ("monitor", self._monitor), ("place", self._place)):
            part.restore({field.removeprefix(f"{name} "): value for field, value in state.items()})

    def _deviations(self) -> np.ndarray:
        """float64[n]: the standard deviation of each coordinate, in its unit."""
        return self._search.sigma * np.sqrt(np.einsum("ij,ij->i", self._search.root, self._search.root))

    def _unravel(self, flat: np.ndarray) -> Any:
        if self._is_vector:
            return flat
        parts = np.split(flat, self._ends, axis=-1)
        shaped = [part.reshape((*flat.shape[:-1], *shape)) for part, shape in zip(parts, self._shapes, strict=True)]
        return self._tree.unflatten(shaped)


def _info(values: np.ndarray, old: np.ndarray, new: np.ndarray, sigma: float) -> Info:
    """What `jaxes.strategy.summarize` makes of a generation."""
    fitness = -values[~np.isnan(values)]
    known: tuple[Any, ...] = (fitness.max(), fitness.mean(), fitness.min()) if fitness.size else (np.nan,) * 3
    best, mean, worst = known
    change, length = np.linalg.norm(new - old), np.linalg.norm(old)
    ratio = change / length if length > 0 else (np.inf if change > 0 else 0.0)
    rest: list[Any] = [int((fitness > mean).sum()), values.size - fitness.size, None, ratio, sigma]
    return Info(best, mean, worst, *rest)
