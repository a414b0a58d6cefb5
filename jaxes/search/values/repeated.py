"""The search of a noisy function: members are evaluated again, and what is found is where the search settles."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments.bounds import ravel
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.compiled import trees_like
from jaxes.search.values.around import Around
from jaxes.search.values.evaluation import Evaluation, undone
from jaxes.search.values.noisy import Uncertainty, mean_of


class NoisyEngine(Around):
    """An engine that steps wider where there is too much noise; see `jaxes.search.engines.engine.Engine`.

    Args:
        inner: what searches.
        settings: of the search.
        run: its number.
    """

    def __init__(self, inner: Any, settings: Settings, run: int):
        super().__init__(inner)
        self._settings, n = settings, ravel(inner.mean).size
        self.noise = Uncertainty(n, inner.size, seed=(settings.seed + run) % 2**63)
        self.factor = 1.0
        """By which the next generation's steps are wider, set by whoever evaluates."""

    @property
    def mean(self) -> Any:
        """Where the search settles."""
        mean = self._inner.mean
        settled = self.noise.settled(ravel(mean))
        if self._settings.whole is not None:
            settled = np.where(self._settings.whole, np.round(settled), settled)
        return trees_like(mean, settled)

    def tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        met, row = self._inner.tell(values)
        if self.factor > 1:
            self._inner.widen(self.factor)
        self.noise.follow(row["mean"], row["deviation"])
        if self._settings.limited:  # values do not get better where noise hides it, but the mean of means does
            met = [reason for reason in met if reason != "stagnation"]
        return met, row

    def state(self) -> dict[str, np.ndarray]:
        noise = {f"noise {name}": value for name, value in self.noise.state().items()}
        return {**self._inner.state(), **noise}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        mine = {name.removeprefix("noise "): value for name, value in state.items() if name.startswith("noise ")}
        self.noise.restore(mine)
        self._inner.restore({name: value for name, value in state.items() if not name.startswith("noise ")})


class NoisyEvaluation(Evaluation):
    """Evaluates members of a `NoisyEngine` as often as the noise asks for.

    A single value says little, so none is remembered: `best` has where every run that has ended settled, with the mean
    of some values there, and `fun` is the median of the last generation.
    """

    LEAST, SHARE, MOST = 10, 0.01, 1000  # evaluations where a run settles: at least, of all evaluations, at most

    _median = np.nan

    @property
    def fun(self) -> float:
        return self._median

    def need(self, engine: NoisyEngine) -> int:
        again = (engine.size + engine.noise.count) * engine.noise.evaluations
        return again + self._last(self.nfev + again)

    def of(self, engine: NoisyEngine) -> np.ndarray:
        with undone(engine.noise):
            return self._of(engine)

    def _of(self, engine: NoisyEngine) -> np.ndarray:
        noise, members = engine.noise, engine.ask()
        values = self._means(members, noise.evaluations)
        again = noise.again(values)
        second = self._means(jax.tree.map(lambda x: x[again], members), noise.evaluations)
        values, engine.factor = noise.told(values, again, second)
        self._median = float(np.median(values[~np.isnan(values)])) if not np.isnan(values).all() else np.nan
        return values

    def found(self, engine: NoisyEngine) -> list[tuple[float, Any]]:
        return self.best or [(self._median, engine.mean)]

    def end(self, engine: NoisyEngine) -> None:
        """Evaluate where the run has settled, if it has begun."""
        if not engine.noise.generations:
            return
        point = jax.tree.map(lambda x: np.asarray(x)[None], engine.mean)
        value = self._means(point, self._last(self.nfev))
        super().keep(point, 0, float(value[0]))

    def keep(self, members: Any, i: int, value: float) -> None:
        """Remember no single value."""

    def enough(self, value: float) -> bool:
        return False

    def _means(self, members: Any, times: int) -> np.ndarray:
        """float64[size]: means of so many values of each member."""
        size = len(jax.tree.leaves(members)[0])
        repeated = jax.tree.map(lambda x: np.concatenate([x] * times), members)
        return mean_of(self.values(repeated, size * times).reshape(times, size))

    def _last(self, nfev: int) -> int:
        return int(np.clip(self.SHARE * nfev, self.LEAST, self.MOST))
