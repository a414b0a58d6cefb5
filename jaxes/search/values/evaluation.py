"""The values of members: of one after the other, of all at once, or by processes."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxes.search.values.workers import Workers
from jaxes.support.numerals import value_of, values_of


@contextlib.contextmanager
def undone(*parts: Any) -> Iterator[None]:
    """What has `state` and `restore` is as before if a generation is left in the middle, which is then done again."""
    before = [part.state() for part in parts]
    try:
        yield
    except BaseException:
        for part, state in zip(parts, before, strict=True):
            part.restore(state)
        raise


class Evaluation:
    """Calls the user's function, and remembers the best points.

    Args:
        f: member -> number, or all members -> numbers.
        vectorized: which of both.
        workers: processes that evaluate, if any.
        target: a value at which a generation need not go on.
    """

    BEST = 10  # points that are remembered

    def __init__(self, f: Callable[[Any], Any], vectorized: bool, workers: Workers | None, target: float | None):
        self._f, self._vectorized, self._workers, self.target = f, vectorized, workers, target
        self.nfev = 0
        self.best: list[tuple[float, Any]] = []
        """The best values, rising, and their points."""

    @property
    def fun(self) -> float:
        """The best value, NaN if there was none."""
        return self.best[0][0] if self.best else math.nan

    @property
    def violation(self) -> float:
        """By how much the best point breaks a constraint, if there are any."""
        return 0.0

    @property
    def remark(self) -> str:
        """What a result's message adds to why the search has ended."""
        return ""

    def need(self, engine: Any) -> int:
        """How many evaluations the next generation of an engine takes, with those after it if it is the last."""
        return engine.size

    def of(self, engine: Any) -> np.ndarray:
        """float64[size]: the values of the next generation of an engine."""
        return self.values(engine.ask(), engine.size)

    def end(self, engine: Any) -> None:
        """Do what is to be done at the end of a run."""

    def found(self, engine: Any) -> list[tuple[float, Any]]:
        """The best values, rising, and their points, also in the middle of the run of an engine."""
        return self.best

    def enough(self, value: float) -> bool:
        """Whether a value ends the search."""
        return self.target is not None and value <= self.target

    def close(self) -> None:
        """End processes, if there are any; they start again when they are needed."""
        if self._workers is not None:
            self._workers.close()

    def values(self, members: Any, size: int) -> np.ndarray:
        """float64[size]: the values of members, leaves float64[size, ...]; NaN where there is none."""
        if self._vectorized:
            values = values_of(self._f(jax.tree.map(np.array, members)), size, "what f returns with vectorized=True")
            self.nfev += size
            for i in np.flatnonzero(values <= (self.best[-1][0] if len(self.best) == self.BEST else np.inf)):
                self.keep(members, int(i), float(values[i]))
            return values
        values = np.full(size, np.nan)
        if self._workers is not None:
            for i, value in self._workers.evaluate([member(members, i) for i in range(size)]):
                values[i] = value_of(value)
                self.nfev += 1
            for i in range(size):  # in their order, whichever came first
                self.keep(members, i, values[i])
            return values
        # Every argument is an array of its own: f may change it.
        rows = members.copy() if isinstance(members, np.ndarray) and members.ndim > 1 else None
        ends, best = self.target is not None, self.best
        for i in range(size):
            value = self._f(member(members, i) if rows is None else rows[i])
            if type(value) is not float:
                value = value_of(value)
            self.nfev += 1
            values[i] = value
            if len(best) < self.BEST or value < best[-1][0]:
                self.keep(members, i, value)
            if ends and self.enough(value):
                break  # the rest would be thrown away
        return values

    def keep(self, members: Any, i: int, value: float) -> None:
        """Remember a point if it is one of the best, also of a generation that is interrupted."""
        best = self.best
        if math.isnan(value) or (len(best) == self.BEST and not value < best[-1][0]):
            return
        place = len(best)
        while place and value < best[place - 1][0]:
            place -= 1
        best.insert(place, (float(value), member(members, i)))
        del best[self.BEST :]


def member(members: Any, i: int) -> Any:
    """One of all members, with arrays of its own."""
    if isinstance(members, np.ndarray):
        return members[i].copy() if members.ndim > 1 else np.array(members[i])
    return jax.tree.map(lambda x: np.array(x[i]), members)
