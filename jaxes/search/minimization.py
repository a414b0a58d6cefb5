"""One call from a function to its minimum: a loop on the host, with restarts that waste no evaluation."""

import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes import termination
from jaxes.lowrank.population import materialize
from jaxes.search import spellings
from jaxes.search.doubles import factory_of, in_doubles, made, positive, start_of
from jaxes.strategies import STRATEGIES
from jaxes.strategy import Strategy
from jaxes.support import checks, trees
from jaxes.support.numerals import in_order, told, value_of, values_of
from jaxes.termination import REASONS, Monitor, Tolerances
from jaxes.wrappers import bounded

HISTORY = "history.json"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a search has found."""

    x: Any  # the best point evaluated: float64[n], or a tree like x0
    fun: float  # its value; NaN if there was none
    nfev: int  # evaluations
    stop: str  # why it ended: "target", "budget", "callback", "interrupted" or criteria of jaxes.termination
    restarts: int  # runs after the first
    seconds: float
    mean: Any  # what the strategy of the last run recommends
    history: dict[str, np.ndarray]  # columns with one row per generation; see `minimize_function`

    def __repr__(self) -> str:
        return (
            f"Result(fun={self.fun:.6g}, nfev={self.nfev}, stop={self.stop!r}, restarts={self.restarts}, "
            f"seconds={self.seconds:.2f}, x={self.x!r})"
        )


def minimize_function(
    f: Callable[[Any], Any],
    x0: Any,
    sigma: float,
    *,
    target: float | None = None,
    budget: int | None = None,
    restarts: int | Literal["ipop", "bipop"] | None = None,
    low: Any = None,
    high: Any = None,
    seed: int = 0,
    vectorized: bool = False,
    strategy: Callable[..., Strategy] | str = "cma_es",
    population_size: int | None = None,
    tolerances: Tolerances | None = None,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
    progress: bool = True,
    out: str | Path | None = None,
    **options: Any,
) -> Result:
    """Minimize a plain function of a NumPy array, as `scipy.optimize.minimize` or `cma.fmin2` would.

    The search is in float64, whatever JAX's default is: `f` gets doubles, and its values are ranked as doubles.

    Args:
        f: float64[n] -> number (or an array of one number), lower is better; NaN where there is no value.
        x0: where to start: float[n], a list or tuple of n numbers (or any tree of them), or a function `rng -> x0` of
            a `numpy.random.Generator`, which is called for every run.
        sigma: initial standard deviation in units of `x0`, about a quarter of the width of the region to search; one
            number.
        target: stop when a value is at most this.
        budget: how many evaluations there may be; only whole generations are evaluated.
        restarts: what follows when a run has ended. None: the search ends. A number: that many new runs, each with
            twice the population of the run before. "ipop": the same, as often as the budget allows. "bipop": runs with
            doubled populations alternate with runs with small populations and small steps, at equal cost (Hansen
            2009).
        low, high: bounds, numbers, or lists or arrays of numbers like `x0` (`jaxes.wrappers.bounded`, method "smooth").
        seed: seed of all randomness, an int of 0 or more.
        vectorized: `f` takes all candidates at once: float64[population_size, n] -> float[population_size].
        strategy: a factory, `strategy(population_size, sigma, **options)`, or its name; `jaxes.cma_es` by default.
        population_size: members of the first run; 4 + floor(3 ln n) by default.
        tolerances: thresholds of the criteria that end a run.
        callback: called after every generation with the new row of the history; if it returns True, the search ends.
        progress: show a bar when the search takes over 2 seconds.
        out: a folder for `history.json`, which `jaxes plot` draws.
        **options: options of the factory.

    Returns:
        A `Result`. Its history has the columns `nfev`, `best`, `median` and `worst` (values in this generation), `fun`
        (the best value so far), `run`, `population_size`, `sigma`, `axis_ratio` (1 if the strategy has no covariance),
        all float[generations], and `mean` and `deviation`, float[generations, n]. Ctrl-C ends the search with what it
        has found (`stop` is "interrupted"), once something has been evaluated.

    Raises:
        TypeError: if `f` returns anything but one real number, if `x0` holds anything but real numbers, or for an
            argument by its name in another library.
        ValueError: if the budget is smaller than one generation, if restarts would never end, or if `x0` lies outside
            the bounds.

    >>> import numpy as np
    >>> rosenbrock = lambda x: sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> result = minimize_function(rosenbrock, np.zeros(4), 0.5, target=1e-4, budget=5000)
    >>> result.stop, bool(result.nfev < 5000), bool(np.allclose(result.x, 1, atol=0.1))
    ('target', True, True)
    """
    sigma = positive("sigma", sigma)
    _check(f, vectorized, budget, restarts, population_size, target, tolerances, callback)
    factory = factory_of(strategy)
    spellings.check(options, factory)
    checks.integer("seed", seed, 0, 2**63 - 1)
    rng = np.random.default_rng(seed)
    begin = (lambda rng: start_of(x0(rng))) if callable(x0) else lambda rng: start_of(x0)
    first = begin(rng)
    n = trees.size(first)
    size = 4 + int(3 * math.log(n)) if population_size is None else population_size
    has_bounds = low is not None or high is not None
    numbers = {}
    if has_bounds:
        numbers = {"low": -np.inf if low is None else low, "high": np.inf if high is None else high}
    search = _Search(f, vectorized, target, budget, callback, _Bar(progress))
    folder = None if out is None else Path(out)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for run, (factor_size, scale, allowed) in enumerate(_regimes(restarts, rng, search)):
            search.run = run
            x = first if run == 0 else begin(rng)
            members = max(2, int(size * factor_size))
            programs = _programs(factory, members, _sigma_inside(factory, sigma), tuple(options.items()), has_bounds)
            if run == 0 and budget is not None and budget < programs.size:
                raise ValueError(f"budget must be at least one generation of {programs.size} evaluations, got {budget}")
            key = in_doubles(lambda run=run: jax.random.fold_in(jax.random.key(seed), run))()
            start = programs.init(key, x, sigma=sigma * scale, **numbers)
            search.go(programs, start, tolerances or Tolerances(), allowed)
            if search.stop in ("target", "budget", "callback"):
                break
    except KeyboardInterrupt:
        if search.nfev == 0:
            raise
        search.stop = "interrupted"
    finally:
        search.bar.close()
    result = search.result()
    if folder is not None:
        _write(folder, result)
    return result


class _Programs(NamedTuple):
    init: Callable[..., Any]
    ask: Callable[..., Any]
    tell: Callable[..., Any]
    recommend: Callable[..., Any]
    size: int


@in_doubles
@functools.lru_cache(maxsize=256)
def _programs(factory, size: int, sigma: float, options: tuple, has_bounds: bool) -> _Programs:
    """The compiled functions for one population size, in doubles, kept for later runs and later calls."""
    strategy = made(factory, size, sigma, dict(options))
    if has_bounds:
        strategy = bounded(strategy, method="smooth")

    def tell(state, monitor, tolerances, fitness):
        population = materialize(strategy.ask(state))
        state, info = strategy.tell(state, fitness)
        mean = strategy.recommend(state)
        deviations = None if strategy.deviations is None else strategy.deviations(state)
        monitor, met = termination.watch(monitor, tolerances, deviations, population, mean, fitness)
        wide = monitor.best.dtype
        row = {
            "sigma": info.sigma,
            "axis_ratio": jnp.sqrt(monitor.condition),
            "mean": trees.ravel(mean, wide),
            "deviation": trees.ravel(jax.tree.map(lambda x: jnp.std(x.astype(wide), axis=0), population), wide),
        }
        return state, monitor, met, row, mean

    ask = jax.jit(lambda state: materialize(strategy.ask(state)))
    return _Programs(
        in_doubles(strategy.init),
        in_doubles(ask),
        in_doubles(jax.jit(tell)),
        in_doubles(strategy.recommend),
        strategy.population_size,
    )


def _sigma_inside(factory, sigma: float) -> float:
    """What a factory is given as sigma: always the same if `init` sets it, so that no new sigma needs new programs."""
    whole = factory.func if isinstance(factory, functools.partial) else factory
    return 1.0 if whole in STRATEGIES.values() else sigma


class _Search:
    """The evaluations of all runs."""

    def __init__(self, f, vectorized, target, budget, callback, bar):
        self.f, self.vectorized, self.target, self.budget = f, vectorized, target, budget
        self.callback, self.bar = callback, bar
        self.began = time.monotonic()
        self.nfev, self.run, self.stop = 0, 0, ""
        self.x: Any = None
        self.fun = math.nan
        self.mean: Any = None
        self.rows: list[dict[str, Any]] = []

    def go(self, programs: _Programs, state: Any, tolerances: Tolerances, allowed: float) -> None:
        """One run; ends when `stop` says why."""
        mean = programs.recommend(state)
        self.mean = jax.tree.map(np.asarray, mean)
        monitor: Monitor = in_doubles(termination.start)(mean, programs.size)
        tolerances = in_doubles(jax.tree.map)(lambda x: jnp.asarray(x, float), tolerances)
        until = self.nfev + allowed
        while True:
            if self.budget is not None and self.nfev + programs.size > self.budget:
                self.stop = "budget"
                return
            if self.nfev >= until:
                self.stop = "regime"
                return
            values = self._evaluate(jax.tree.map(np.asarray, programs.ask(state)), programs.size)
            state, monitor, met, row, mean = programs.tell(state, monitor, tolerances, in_order(-values, np.float64))
            self.mean = jax.tree.map(np.asarray, mean)
            self._note(values, programs.size, {name: np.asarray(value) for name, value in row.items()})
            if self.target is not None and self.fun <= self.target:
                self.stop = "target"
            elif self.callback is not None and self.callback(self.rows[-1]):
                self.stop = "callback"
            else:
                self.stop = ", ".join(name for name, yes in zip(REASONS, np.asarray(met), strict=True) if yes)
            if self.stop:
                return

    def _evaluate(self, members: Any, size: int) -> np.ndarray:
        member = lambda i: jax.tree.map(lambda x: x[i], members)
        if self.vectorized:
            values = values_of(self.f(jax.tree.map(np.array, members)), size, "what f returns with vectorized=True")
            self.nfev += size
            if not np.isnan(values).all():
                i = int(np.nanargmin(values))
                self._keep(member(i), float(values[i]))
            return values
        values = np.full(size, np.nan)
        for i in range(size):
            values[i] = value_of(self.f(jax.tree.map(np.array, member(i))))  # of its own: f may change it
            self.nfev += 1
            self._keep(member(i), float(values[i]))
            if self.target is not None and values[i] <= self.target:
                break  # the rest would be thrown away
        return values

    def _keep(self, x: Any, value: float) -> None:
        """Remember the best point, also of a generation that is interrupted."""
        if not math.isnan(value) and not self.fun <= value:
            self.x, self.fun = jax.tree.map(np.array, x), value

    def _note(self, values: np.ndarray, size: int, row: dict[str, Any]) -> None:
        known = values[~np.isnan(values)]
        best, median, worst = (known.min(), np.median(known), known.max()) if known.size else (np.nan,) * 3
        told = {"nfev": self.nfev, "best": best, "median": median, "worst": worst, "fun": self.fun, "run": self.run}
        self.rows.append({**told, "population_size": size, **row})
        self.bar.show(len(self.rows), self.nfev, self.fun, time.monotonic() - self.began)

    def result(self) -> Result:
        history = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]} if self.rows else {}
        seconds = time.monotonic() - self.began
        return Result(self.x, self.fun, self.nfev, self.stop, self.run, seconds, self.mean, history)


def _regimes(restarts: int | str | None, rng: np.random.Generator, search: _Search) -> Iterator[tuple]:
    """For every run: a factor for the population size, a factor for sigma, and how many evaluations it may take."""
    yield 1, 1.0, math.inf
    if restarts is None:
        return
    if restarts != "bipop":
        for run in range(1, restarts + 1 if isinstance(restarts, int) else 64):
            yield 2**run, 1.0, math.inf
        return
    # Hansen 2009, section 2: the regime that has spent less goes next; the first run belongs to neither.
    large, spent, before = 0, [0.0, 0.0], search.nfev
    while True:
        small = large > 0 and spent[1] < spent[0]
        if small:
            u, v = rng.uniform(size=2)
            yield max(1.0, (0.5 * 2**large) ** (u**2)), 10 ** (-2 * v), max(spent[0] / 2, 1)
        else:
            large += 1
            yield 2**large, 1.0, math.inf
        spent[small] += search.nfev - before
        before = search.nfev


class _Bar:
    """A line that appears when a search has taken 2 seconds: how it goes, not when it ends, which nobody knows."""

    PATIENCE = 2.0

    def __init__(self, enabled: bool):
        self._enabled = enabled
        self._progress: Any = None

    def show(self, generations: int, nfev: int, fun: float, seconds: float) -> None:
        if not self._enabled or seconds < self.PATIENCE:
            return
        if self._progress is None:
            from jaxes.support.progress import Progress

            self._progress = Progress("minimize", {}, measure="lowest value", unit="evaluations")
        row = {"generation": generations, "steps": nfev, "seconds": seconds, "mean": fun, "evaluation": None}
        row["steps_per_second"] = nfev / seconds
        self._progress.show(row, fun)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()


def _check(f, vectorized, budget, restarts, population_size, target, tolerances, callback) -> None:
    checks.function("f", f, "all candidates" if vectorized else "a candidate")
    if population_size is not None:
        checks.population_size(population_size)
    if tolerances is not None and not isinstance(tolerances, Tolerances):
        raise TypeError(f"tolerances must be jaxes.termination.Tolerances(...), got {tolerances!r}")
    if callback is not None:
        checks.function("callback", callback, "a row of the history")
    number = lambda value: isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if budget is not None and not (number(budget) and 1 <= budget < 2**63 and budget == int(budget)):
        raise ValueError(f"budget must be a whole number of evaluations, 1 or more, got {told(budget)}")
    if target is not None and (not number(target) or math.isnan(target)):
        raise ValueError(f"target must be a number, got {target!r}")
    if isinstance(restarts, str):
        checks.choice("kind of restarts", restarts, ("ipop", "bipop"))
        if budget is None:
            raise ValueError(f"restarts={restarts!r} go on until the budget is spent, so budget must be given")
    elif restarts is not None and not checks.is_integer(restarts, 0):
        raise ValueError(f"restarts must be None, a number of 0 or more, 'ipop' or 'bipop', got {restarts!r}")


def _write(folder: Path, result: Result) -> None:
    columns = {name: np.asarray(values, dtype=float).tolist() for name, values in result.history.items()}
    end = {"fun": result.fun, "nfev": result.nfev, "stop": result.stop, "restarts": result.restarts}
    scratch = folder / f".{HISTORY}.tmp"
    scratch.write_text(json.dumps({**end, "seconds": round(result.seconds, 3), "history": columns}))
    scratch.replace(folder / HISTORY)
