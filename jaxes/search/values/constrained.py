"""The search of a function where constraints are to hold."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments.bounds import ravel
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.compiled import trees_like
from jaxes.search.values.around import Around
from jaxes.search.values.boundary import Boundary
from jaxes.search.values.evaluation import Evaluation, member, undone
from jaxes.search.values.lagrangian import AugmentedLagrangian
from jaxes.search.values.workers import Workers
from jaxes.support import checks
from jaxes.support.numerals import told, value_of, values_of
from jaxes.termination import stagnation_least

WANTED = "constraints must return numbers, of which those that are 0 or less hold"


def functions_of(constraints: Any) -> tuple[Callable[[Any], Any], ...]:
    """The functions of an argument `constraints`.

    >>> len(functions_of([lambda x: x[0], lambda x: x[1] - 1]))
    2
    """
    functions = tuple(constraints) if isinstance(constraints, list | tuple) else (constraints,)
    if not functions or not all(map(callable, functions)):
        wrong = next((one for one in functions if not callable(one)), constraints)
        raise TypeError(
            "constraints must be a function of a candidate, whose numbers are 0 or less where the constraints hold, or "
            f"a list of such functions, got {told(wrong)}"
        )
    for function in functions:
        checks.function("constraints", function, "a candidate")
    return functions


class Both:
    """What is evaluated: the function's value, and what each constraint's function returns."""

    def __init__(self, f: Callable[[Any], Any], constraints: tuple[Callable[[Any], Any], ...]):
        self._functions = (f, *constraints)

    def __call__(self, x: Any) -> tuple[Any, list[Any]]:
        f, *g = (function(jax.tree.map(np.array, x)) for function in self._functions)  # each may change its argument
        return f, g


class ConstrainedEngine(Around):
    """An engine with the multipliers of its run; see `jaxes.search.engines.engine.Engine`.

    Args:
        inner: what searches.
    """

    def __init__(self, inner: Any):
        super().__init__(inner)
        self.lagrangian, self.boundary = AugmentedLagrangian(), Boundary()
        self._stagnant = 2 * stagnation_least(ravel(inner.mean).size, inner.size)
        self.idle = 0
        """Generations since a better point was found, set by whoever evaluates."""

    def tell(self, values: np.ndarray) -> tuple[list[str], dict[str, Any]]:
        met, row = self._inner.tell(values)
        # What members are ranked by rises while multipliers do, so its record says nothing.
        met = [reason for reason in met if reason != "stagnation"]
        return met + ["stagnation"] * (self.idle >= self._stagnant), row

    def state(self) -> dict[str, np.ndarray]:
        parts = {"lagrangian": self.lagrangian, "boundary": self.boundary}
        mine = {f"{part} {name}": value for part, of in parts.items() for name, value in of.state().items()}
        return {**self._inner.state(), **mine, "idle": np.array(self.idle)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        rest = dict(state)
        self.idle = int(rest.pop("idle"))
        for part, of in (("lagrangian ", self.lagrangian), ("boundary ", self.boundary)):
            of.restore({name.removeprefix(part): rest.pop(name) for name in list(rest) if name.startswith(part)})
        self._inner.restore(rest)


class ConstrainedEvaluation(Evaluation):
    """Evaluates members of a `ConstrainedEngine`, and one point more where constraints just hold.

    `best` has feasible points only, as soon as there is one; until then those that break constraints least.

    Args:
        f: see `Evaluation`.
        constraints: functions of the same argument; with `vectorized`, each returns float[size, m] or float[size].
        vectorized: see `Evaluation`.
        workers: processes that evaluate `Both`, if any.
        target: see `Evaluation`; of feasible points.
        settings: of the search.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        constraints: tuple[Callable[[Any], Any], ...],
        vectorized: bool,
        workers: Workers | None,
        target: float | None,
        settings: Settings,
    ):
        super().__init__(f, vectorized, workers, target)
        self._both, self._constraints = Both(f, constraints), constraints
        self._settings = settings
        self._count: int | None = None  # of constraints
        self._known: list[Any] = []  # points of `best` whose violations are known
        self._violations: list[float] = []

    @property
    def violation(self) -> float:
        """By how much the best point breaks a constraint; 0 if it is feasible."""
        self._recall()
        return self._violations[0] if self._violations else 0.0

    @property
    def fun(self) -> float:
        """The best value of a feasible point, NaN if there was none."""
        return self.best[0][0] if self.best and self.violation == 0 else math.nan

    @property
    def remark(self) -> str:
        if not self.best or self.violation == 0:
            return ""
        return f" No feasible point was found: the largest constraint of x is {self.violation:.3g}."

    def need(self, engine: ConstrainedEngine) -> int:
        return engine.size + 1

    def of(self, engine: ConstrainedEngine) -> np.ndarray:
        with undone(engine.lagrangian, engine.boundary):
            return self._of(engine)

    def _of(self, engine: ConstrainedEngine) -> np.ndarray:
        before = self._mark()
        members = engine.ask()
        f, g = self._evaluated(members, engine.size)
        engine.lagrangian.update(f, g)
        values = engine.lagrangian.values(f, g)
        if self._settings.whole is None and not self.enough(self.fun):
            self._beside(engine, members, g, values)
        engine.idle = 0 if self._mark() != before else engine.idle + 1
        return values

    def _beside(self, engine: ConstrainedEngine, members: Any, g: np.ndarray, values: np.ndarray) -> None:
        """Evaluate a point where the constraints just hold, if there is need of one."""
        rows = np.array([ravel(member(members, i)) for i in range(engine.size)])
        point = engine.boundary.propose(rows, g, values, engine.lagrangian.active(g))
        if point is None:
            return
        if self._settings.box is not None:
            point = np.clip(point, *self._settings.box)
        before = self._mark()
        one = jax.tree.map(lambda x: x[None], trees_like(member(members, 0), point))
        _, there = self._evaluated(one, 1)
        engine.boundary.learn(there[0], self._mark() != before)

    def _mark(self) -> tuple[float, float]:
        """What is smaller the better the best point is."""
        return (self.violation, self.best[0][0]) if self.best else (math.inf, math.inf)

    def _evaluated(self, members: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
        """float64[size] and float64[size, m]: values and constraints; NaN for what was not evaluated."""
        if self._vectorized:
            own = lambda: jax.tree.map(np.array, members)
            f = values_of(self._f(own()), size, "what f returns with vectorized=True")
            parts = [_columns(function(own()), size) for function in self._constraints]
            self.nfev += size
            rows = self._counted(np.concatenate(parts, axis=1))
            for i in range(size):
                self._keep(members, i, f[i], rows[i])
            return f, rows
        answers: list[Any] = [None] * size
        if self._workers is not None:
            for i, answer in self._workers.evaluate([member(members, i) for i in range(size)]):
                answers[i] = self._read(*answer)
            for i in range(size):
                self._keep(members, i, *answers[i])
        else:
            for i in range(size):
                answers[i] = self._read(*self._both(member(members, i)))
                self._keep(members, i, *answers[i])
                if self.enough(answers[i][0]) and (answers[i][1] <= 0).all():
                    break  # the rest would be thrown away
        missing = math.nan, np.full(self._count or 1, np.nan)
        f, g = zip(*(missing if answer is None else answer for answer in answers), strict=True)
        return np.array(f), np.array(g)

    def _read(self, f: Any, g: list[Any]) -> tuple[float, np.ndarray]:
        self.nfev += 1
        return value_of(f), self._counted(np.concatenate([_numbers(part) for part in g])[None])[0]

    def _counted(self, g: np.ndarray) -> np.ndarray:
        """The same, if there are as many constraints as before."""
        if self._count is None:
            self._count = g.shape[1]
        if not g.shape[1] or g.shape[1] != self._count:
            before = "" if self._count == g.shape[1] else f" after {self._count} of the first candidate"
            raise ValueError(f"{WANTED}, as many for each candidate, got {g.shape[1]}{before}")
        return g

    def _keep(self, members: Any, i: int, value: float, g: np.ndarray) -> None:
        self._recall()
        violation = _violation(g)
        if (self.best and self._violations[0] == 0 < violation) or (violation == 0 and math.isnan(value)):
            return
        if violation == 0 and self.best and self._violations[0] > 0:
            self.best, self._violations = [], []
        rank = lambda violation, value: (violation, math.inf if math.isnan(value) else value)
        place = len(self.best)
        while place and rank(violation, value) < rank(self._violations[place - 1], self.best[place - 1][0]):
            place -= 1
        self.best.insert(place, (float(value), member(members, i)))
        self._violations.insert(place, violation)
        del self.best[self.BEST :], self._violations[self.BEST :]
        self._known = [x for _, x in self.best]

    def _recall(self) -> None:
        """Find the violations of points that were found before the search was interrupted."""
        points = [x for _, x in self.best]
        if len(points) == len(self._known) and all(map(lambda x, y: x is y, points, self._known)):
            return
        self._violations = [_violation(self._constraints_at(x)) for x in points]
        self._known = points

    def _constraints_at(self, x: Any) -> np.ndarray:
        if self._vectorized:
            own = lambda: jax.tree.map(lambda leaf: np.array(leaf)[None], x)
            return np.concatenate([_columns(function(own()), 1) for function in self._constraints], axis=1)[0]
        own = lambda: jax.tree.map(np.array, x)
        return np.concatenate([_numbers(function(own())) for function in self._constraints])


def _violation(g: np.ndarray) -> float:
    return math.inf if np.isnan(g).any() else max(0.0, float(g.max()))


def _numbers(answer: Any) -> np.ndarray:
    """float64[m]: what a function of constraints has returned for one candidate."""
    if isinstance(answer, list | tuple):
        parts = [_numbers(part) for part in answer]
        if not all(part.size == 1 for part in parts):
            raise TypeError(f"{WANTED}, got {told(answer)} with arrays in it")
        return np.concatenate([*parts, np.zeros(0)])
    _refuse_booleans(answer)
    if answer is None or np.ndim(answer) == 0 or isinstance(answer, str | bytes | dict):
        return np.array([value_of(answer, WANTED)])
    array = np.asarray(answer)
    if array.ndim > 1:
        raise TypeError(f"{WANTED}, got an array of shape {array.shape}")
    return values_of(array, array.size, "what constraints return")


def _columns(answer: Any, size: int) -> np.ndarray:
    """float64[size, m]: what a function of constraints has returned for all candidates."""
    _refuse_booleans(answer)
    wanted = f"constraints must return [{size}, m] or [{size}] numbers with vectorized=True"
    if answer is None or isinstance(answer, str | bytes | dict):
        raise TypeError(f"{wanted}, got {told(answer)}")
    array = np.asarray(answer)
    if array.ndim not in (1, 2) or len(array) != size:
        raise ValueError(f"{wanted}, got the shape {array.shape}")
    return values_of(array.reshape(-1), array.size, "what constraints return").reshape(size, -1)


def _refuse_booleans(answer: Any) -> None:
    if isinstance(answer, bool) or np.issubdtype(getattr(answer, "dtype", float), np.bool_):
        raise TypeError(f"{WANTED}, got a boolean: for x[0] <= 1 return x[0] - 1, by how much it is broken")
