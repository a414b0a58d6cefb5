"""A stateful ask/tell loop for plain NumPy objectives."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments import spellings
from jaxes.search.arguments.bounds import box_of, check_start, ravel, sigmas, whole_of
from jaxes.search.arguments.doubles import factory_of, start_of
from jaxes.search.arguments.limits import tolerances_of
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.engine import engine_of
from jaxes.search.running.history import History, row_of
from jaxes.search.running.result import Result, sentence
from jaxes.search.values.evaluation import Evaluation
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.numerals import values_of
from jaxes.termination import Tolerances


class ESOpt:
    """Ask for candidates, evaluate them in any way, tell their values.

    The search is in float64, whatever JAX's default is.

    Args:
        x0: where to start: float[n], a list or tuple of n numbers (or any tree of them).
        sigma: initial standard deviation in units of `x0`; one number, or one for each coordinate.
        population_size: candidates per generation; None for 4 + floor(3 ln n), which suits `cma_es`.
        maximize, minimize: `maximize=True` (or `minimize=False`) if higher values are better, `minimize=True` (or
            `maximize=False`) if lower values are; one of both must be given.
        strategy: a factory such as `jaxes.cma_es`, or its name; `jaxes.open_es` by default.
        bounds, integer, tolerances: as for `jaxes.minimize_function`.
        seed: seed of all randomness, an int of 0 or more.
        **options: options of the factory (`learning_rate=0.1`, ...).

    Raises:
        TypeError: unless it is told which values are better, and at `tell`, if the values are no real numbers.
        ValueError: at `tell`, if there are not as many values as candidates.
        RuntimeError: at `tell`, if no candidates have been asked for since the last one.

    It can be pickled, between two generations too, if the strategy is a factory's of this library.

    >>> import numpy as np
    >>> opt = ESOpt(np.ones(3), sigma=0.1, population_size=50, minimize=True, learning_rate=0.1)
    >>> for _ in range(60):
    ...     candidates = opt.ask()  # float[50, 3]
    ...     opt.tell(np.sum(candidates**2, axis=1))
    >>> bool(np.sum(opt.mean**2) < 0.1)
    True
    """

    def __init__(
        self,
        x0: Any,
        sigma: Any = 0.1,
        population_size: int | None = 50,
        *,
        maximize: bool | None = None,
        minimize: bool | None = None,
        strategy: Callable[..., Strategy] | str = "open_es",
        bounds: Any = None,
        integer: Any = None,
        tolerances: Tolerances | None = None,
        seed: int = 0,
        **options: Any,
    ):
        self._sign = _sign(maximize, minimize)
        factory = factory_of(strategy)
        spellings.check(options, factory, loop=True)
        checks.integer("seed", seed, 0, 2**63 - 1)
        if tolerances is not None and not isinstance(tolerances, Tolerances):
            raise TypeError(f"tolerances must be jaxes.termination.Tolerances(...), got {tolerances!r}")
        start = start_of(x0)
        one, units = sigmas(sigma, start)
        box, whole = box_of(bounds, start), whole_of(integer, start)
        check_start(start, box, whole)
        settings = Settings(factory, options, one, units, box, whole, tolerances or tolerances_of(one), int(seed))
        self._name = getattr(factory, "__name__", "strategy")
        size = 4 + int(3 * math.log(ravel(start).size)) if population_size is None else population_size
        self._engine = engine_of(settings, 0, size, one, start)
        self._start, self._box, self._whole = start, box, whole
        self._history = History(ravel(start).size)
        self._evaluation = Evaluation(_none, False, None, None)
        self._met: list[str] = []
        self._asked: Any = None
        self._known: list[Any] = []  # points for the next generation
        self._began = time.time()

    @property
    def population_size(self) -> int:
        """Candidates per generation."""
        return self._engine.size

    @property
    def best(self) -> Any:
        """The best candidate told so far, None before the first."""
        return jax.tree.map(np.array, self._evaluation.best[0][1]) if self._evaluation.best else None

    @property
    def best_value(self) -> float | None:
        """The value that `best` was told with, None before the first."""
        return self._told(self._evaluation.fun) if self._evaluation.best else None

    @property
    def info(self) -> Any:
        """The `Info` of the last generation, in terms of fitness (higher is better); None before the first."""
        return self._engine.info

    @property
    def mean(self) -> Any:
        """What the strategy recommends: the distribution's mean, as NumPy arrays like `x0`."""
        return jax.tree.map(np.array, self._engine.mean)

    @property
    def sigma(self) -> float:
        """The step size."""
        return self._engine.sigma

    def ask(self) -> Any:
        """The candidates of this generation: float[population_size, n] for a vector `x0`."""
        self._asked, self._known = self._engine.ask(), []
        return jax.tree.map(np.array, self._asked)  # the caller may change them

    def tell(self, values: Any, *more: Any) -> None:
        """Tell one value per candidate, in the order of `ask`; NaN marks a failed evaluation."""
        if more:
            raise TypeError("tell takes the values alone, in the order of the candidates: opt.tell(values)")
        if self._asked is None:
            raise RuntimeError("tell must follow ask: no candidates have been asked for")
        costs = -self._sign * values_of(values, self._engine.size, "values")
        evaluation = self._evaluation
        evaluation.nfev += costs.size
        for i, cost in enumerate(costs.tolist()):
            evaluation.keep(self._asked, i, cost)
        self._met, row = self._engine.tell(costs)
        self._history.add({**row_of(costs, evaluation.nfev, evaluation.fun), "run": 0, **row})
        self._asked = None

    def stop(self) -> list[str]:
        """The criteria that are met, by their names in `jaxes.termination`; empty while the search should go on.

        >>> opt = ESOpt([0.0], 1.0, 6, minimize=True, strategy="cma_es")
        >>> while not opt.stop():
        ...     opt.tell([(x[0] - 3) ** 2 for x in opt.ask()])
        >>> round(float(opt.best[0]), 4)
        3.0
        """
        return list(self._met)

    def inject(self, *points: Any) -> None:
        """Make points, such as good ones that are known, the first candidates of the next generation.

        Args:
            *points: like `x0`, within the bounds, at most a generation of them; for a vector `x0` also one list of
                points, or an array.

        Raises:
            TypeError: if the strategy is another than `cma_es`.
            RuntimeError: between `ask` and `tell`.
        """
        if self._asked is not None:
            raise RuntimeError("inject must come before ask: candidates have been asked for and not told")
        vector = isinstance(self._start, np.ndarray) and self._start.ndim == 1
        if vector and len(points) == 1 and np.ndim(points[0]) == 2:
            points = tuple(points[0])
        if len(points) + len(self._known) > self._engine.size:
            got = len(points) + len(self._known)
            raise ValueError(f"points must be at most {self._engine.size}, one generation, got {got}")
        starts = [start_of(x) for x in points]
        shapes = lambda x: jax.tree.map(np.shape, x)
        for x in starts:
            if shapes(x) != shapes(self._start):
                raise ValueError(f"points must be like x0, {shapes(self._start)}, got {shapes(x)}")
            check_start(x, self._box, self._whole, "a point")
            if self._whole is not None and (broken := self._whole & (ravel(x) != np.round(ravel(x)))).any():
                raise ValueError(f"a point must have whole numbers where integer asks, got {ravel(x)[broken][0]:g}")
        self._engine.inject([*self._known, *starts])
        self._known += starts

    @property
    def result(self) -> Result:
        """What has been found, as `jaxes.minimize_function` returns it; values have the sign they were told with."""
        best, sign, stop = self._evaluation.best, self._told, ", ".join(self._met)
        history = self._history.columns()
        if self._sign > 0:
            history |= {name: -history[name] for name in ("best", "median", "worst", "fun") if name in history}
        return Result(
            x=self.best,
            fun=sign(self._evaluation.fun),
            nfev=self._evaluation.nfev,
            nit=self._history.generations,
            stop=stop,
            message=sentence(stop) if stop else "The search goes on.",
            xs=[jax.tree.map(np.array, x) for _, x in best],
            funs=np.array([sign(value) for value, _ in best]),
            mean=self.mean,
            sigma=self.sigma,
            axis_lengths=self._engine.axis_lengths,
            restarts=0,
            seconds=time.time() - self._began,
            history=history,
            maximized=self._sign > 0,
            _resume="this result is of an ESOpt, whose loop is yours: go on by ask and tell",
        )

    def __repr__(self) -> str:
        better = "maximize" if self._sign > 0 else "minimize"
        return (
            f"ESOpt({self._name}, n={ravel(self._start).size}, population_size={self.population_size}, {better}=True: "
            f"{self._history.generations} generations, best_value={self.best_value}, sigma={self.sigma:.3g})"
        )

    def _told(self, cost: float) -> float:
        return -self._sign * cost


def _sign(maximize: Any, minimize: Any) -> float:
    given = [x for x in (maximize, minimize) if x is not None]
    if len(given) != 1 or not isinstance(given[0], bool | np.bool_):
        got = f"maximize={maximize!r}" + ("" if minimize is None else f", minimize={minimize!r}")
        raise TypeError(
            "minimize=True or maximize=True must be given: maximize if higher values are better (a score), minimize if "
            f"lower values are (a cost); got {got}"
        )
    return 1.0 if (maximize if minimize is None else not minimize) else -1.0


def _none(x: Any) -> float:
    raise AssertionError("values are told")
