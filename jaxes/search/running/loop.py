"""The loop of a search over generations and runs."""

import contextlib
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments.bounds import check_start, ravel
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.compiled import trees_like
from jaxes.search.engines.engine import Engine, engine_of
from jaxes.search.running.history import VECTORS, History, row_of
from jaxes.search.running.record import Record
from jaxes.search.running.restarts import Plan, Restarts
from jaxes.search.running.result import Result, sentence
from jaxes.search.running.table import Table, now
from jaxes.search.running.whole_generations import WholeGenerations
from jaxes.search.values.evaluation import Evaluation

_FINAL = ("target", "budget", "seconds", "callback", "interrupted")


class Search:
    """A search, which can stop and go on.

    Args:
        settings: what all runs have in common.
        first: where the first run starts, a tree of float64 arrays.
        begin: rng -> where a later run starts.
        rng: of starts and small runs.
        size: members of the first run.
        restarts: what follows a run.
        evaluation: of members.
        budget: evaluations that there may be.
        seconds: time that it may take.
        callback: called after every generation.
        record: the folder, if there is one.
        verbose: see `Table`.
    """

    def __init__(
        self,
        settings: Settings,
        first: Any,
        begin: Callable[[np.random.Generator], Any],
        rng: np.random.Generator,
        size: int,
        restarts: Restarts,
        evaluation: Evaluation,
        budget: int | None,
        seconds: float | None,
        callback: Callable[[dict[str, Any]], bool | None] | None,
        record: Record | None,
        verbose: int,
    ):
        self._settings, self._first, self._begin, self._rng = settings, first, begin, rng
        self._size, self._restarts, self._evaluation = size, restarts, evaluation
        self.budget, self._limit = budget, seconds
        self._callback, self._record, self._verbose = callback, record, verbose
        self._history = History(ravel(first).size)
        self._engine: Engine = engine_of(settings, 0, size, settings.sigma, first)
        need = evaluation.need(self._engine)
        if budget is not None and budget < need:
            raise ValueError(f"budget must be at least one generation of {need} evaluations, got {budget}")
        self._plan, self._start, self._until = Plan(1, 1.0, math.inf), first, math.inf
        self._running = False  # whether the present run has not ended
        self._told: tuple[int, list[Any]] = (0, [])  # evaluations and best points of whole generations
        self._stop, self._seconds = "", 0.0
        self._whole = WholeGenerations()
        self._written = True  # whether the folder could be written until now

    def go(self) -> Result:
        """Search until something ends it.

        Ctrl-C ends it with what has been found; the exception of a function that raises has it as its `result`.
        """
        measure = "median value" if self._settings.noisy else "lowest value"
        table, began = Table(self._verbose, measure), now() - self._seconds
        try:
            with self._whole.installed():
                self._go(table, began)
        except KeyboardInterrupt:
            self._seconds = now() - began
            if self._evaluation.nfev == 0:
                raise
            self._stop = "interrupted"
        except BaseException as error:
            self._seconds = now() - began
            self._stop = f"{type(error).__name__} at evaluation {self._evaluation.nfev + 1}"
            if self._evaluation.nfev:
                self._save()
            with contextlib.suppress(AttributeError):  # of an exception that takes no attributes
                error.result = self._result()  # type: ignore[attr-defined]
            raise
        finally:
            self._evaluation.close()
        self._seconds = now() - began
        self._save()
        result = self._result()
        table.end(self._history.last if self._history.generations else None, self._seconds, result.message)
        return result

    def _go(self, table: Table, began: float) -> None:
        while True:
            if not self._running and not self._next_run():
                return
            self._run(table, began)
            self._evaluation.end(self._engine)
            if self._stop in _FINAL:
                return
            self._told = self._evaluation.nfev, list(self._evaluation.best)
            self._running = False

    def _next_run(self) -> bool:
        """Begin the next run, if there is one."""
        plan = self._restarts.next(self._rng, self._evaluation.nfev)
        if plan is None:
            return False
        start = self._first if self._restarts.run == 0 else self._begin(self._rng)
        if self._restarts.run:
            shapes = lambda x: jax.tree.map(np.shape, x)
            if shapes(start) != shapes(self._first):
                raise ValueError(f"x0(rng) must be alike for every run, {shapes(self._first)}, got {shapes(start)}")
            check_start(start, self._settings.box, self._settings.whole)
        if self._restarts.run:
            self._set_engine(plan, start)
        self._until, self._running = self._evaluation.nfev + plan.allowed, True
        return True

    def _set_engine(self, plan: Plan, start: Any) -> None:
        members, sigma = max(2, int(self._size * plan.larger)), self._settings.sigma * plan.scale
        self._plan, self._start = plan, start
        self._engine = engine_of(self._settings, self._restarts.run, members, sigma, start)

    def _run(self, table: Table, began: float) -> None:
        """Generations of one run, until `_stop` says why it ends."""
        engine, evaluation = self._engine, self._evaluation
        while True:
            if self.budget is not None and evaluation.nfev + evaluation.need(engine) > self.budget:
                self._stop = "budget"
                return
            if evaluation.nfev >= self._until:
                self._stop = "regime"
                return
            values = evaluation.of(engine)
            with self._whole:
                met, row = engine.tell(values)
                self._note(values, row)
                self._told = evaluation.nfev, list(evaluation.best)
            table.row(self._history.last, now() - began)
            if evaluation.target is not None and evaluation.fun <= evaluation.target:
                self._stop = "target"
            elif self._callback is not None and self._callback(self._row()):
                self._stop = "callback"
            elif self._limit is not None and now() - began >= self._limit:
                self._stop = "seconds"
            else:
                self._stop = ", ".join(met)
            if self._record is not None and self._record.due():
                self._seconds = now() - began
                self._save()
            if self._stop:
                return

    def _note(self, values: np.ndarray, row: dict[str, Any]) -> None:
        told = row_of(values, self._evaluation.nfev, self._evaluation.fun)
        self._history.add({**told, "run": self._restarts.run, **row})

    def _row(self) -> dict[str, Any]:
        """What a callback is told."""
        best = self._evaluation.found(self._engine)
        own = {name: np.array(self._history.last[name]) for name in VECTORS}
        return {**self._history.last, **own, "x": jax.tree.map(np.array, best[0][1]) if best else None}

    def _result(self) -> Result:
        engine, restarts = self._engine, max(self._restarts.run, 0)
        best = [(value, jax.tree.map(np.array, x)) for value, x in self._evaluation.found(engine)]
        return Result(
            x=best[0][1] if best else None,
            fun=best[0][0] if best else math.nan,
            nfev=self._evaluation.nfev,
            nit=self._history.generations,
            stop=self._stop,
            message=sentence(self._stop, restarts) + self._evaluation.remark + _unbounded(best),
            xs=[x for _, x in best],
            funs=np.array([value for value, _ in best]),
            mean=jax.tree.map(np.array, engine.mean),
            sigma=engine.sigma,
            axis_lengths=engine.axis_lengths,
            restarts=restarts,
            seconds=self._seconds,
            history=self._history.columns(),
            violation=self._evaluation.violation,
            _resume=self._resume,
        )

    def _resume(self, generations: int, budget: int | None, target: float | None) -> Result:
        if self._history.generations != generations:
            raise RuntimeError(
                f"the search has gone on from this result, to generation {self._history.generations}: go on from the "
                "result of that"
            )
        self.budget, self._limit, self._evaluation.target = budget, None, target
        self._evaluation.nfev, self._evaluation.best = self._told[0], list(self._told[1])
        return self.go()

    def _save(self) -> None:
        """Write what `restore` takes, as it was after the last whole generation."""
        if self._record is None:
            return
        nfev, best = self._told
        arrays = {f"engine {name}": value for name, value in self._engine.state().items()}
        arrays |= {f"history {name}": value for name, value in self._history.state().items()}
        arrays["start"] = ravel(self._start)
        arrays["best points"] = np.array([ravel(x) for _, x in best])
        arrays["best values"] = np.array([value for value, _ in best])
        meta = {
            "settings": self._described(),
            "nfev": nfev,
            "plan": list(self._plan),
            "restarts": self._restarts.state(),
            "rng": self._rng.bit_generator.state,
            "until": self._until,
            "running": self._running,
            "stop": self._stop,
            "seconds": self._seconds,
        }
        fun, restarts = (best[0][0] if best else math.nan), max(self._restarts.run, 0)
        end = {"fun": fun, "nfev": nfev, "stop": self._stop, "restarts": restarts, "seconds": round(self._seconds, 3)}
        try:
            self._record.write(arrays, meta, end)
        except OSError as error:
            if self._written:
                warnings.warn(f"out cannot be written, and the search goes on without: {error}", stacklevel=2)
            self._written = False

    def restore(self, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Go on from what has been saved.

        Raises:
            ValueError: if it is of a search with other settings.
        """
        given = json.loads(json.dumps(self._described()))
        for name, kept in meta["settings"].items():
            if given[name] != kept:
                raise ValueError(
                    f"out has a search with {name}={kept}, got {name}={given[name]}; what goes on has the same settings"
                )
        part = lambda name: {
            key.removeprefix(f"{name} "): value for key, value in arrays.items() if key.startswith(f"{name} ")
        }
        self._restarts.restore(meta["restarts"])
        self._rng.bit_generator.state = meta["rng"]
        self._set_engine(Plan(*meta["plan"]), trees_like(self._first, arrays["start"]))
        self._engine.restore(part("engine"))
        self._history.restore(part("history"))
        points = [trees_like(self._first, x) for x in arrays["best points"]]
        best = list(zip(arrays["best values"].tolist(), points, strict=True))
        self._told = meta["nfev"], best
        self._evaluation.nfev, self._evaluation.best = meta["nfev"], list(best)
        self._until, self._running = meta["until"], meta["running"]
        self._stop, self._seconds = meta["stop"], meta["seconds"]

    def _described(self) -> dict[str, Any]:
        """The settings that a search cannot change on its way."""
        settings, rows = self._settings, lambda x: None if x is None else np.asarray(x).tolist()
        return {
            "n": ravel(self._first).size,
            "x0": rows(ravel(self._first)),
            "strategy": getattr(settings.factory, "__name__", repr(settings.factory)),
            "options": {name: repr(value) for name, value in settings.options.items()},
            "seed": settings.seed,
            "population_size": self._size,
            "sigma": rows(settings.sigma * settings.units),
            "bounds": None if settings.box is None else [rows(side) for side in settings.box],
            "integer": rows(settings.whole),
            "restarts": self._restarts.kind,
            "noisy": settings.noisy,
            "constraints": settings.constrained,
        }


def _unbounded(best: list[tuple[float, Any]]) -> str:
    """What is said of a search that has found no finite value."""
    return " All values were infinite." if best and best[0][0] == math.inf else ""
