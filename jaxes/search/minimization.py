"""One call from a function to its minimum."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxes.search.arguments import limits, spellings
from jaxes.search.arguments.bounds import box_of, check_start, quarter_of, ravel, sigmas, whole_of
from jaxes.search.arguments.doubles import factory_of, start_of
from jaxes.search.arguments.limits import tolerances_of
from jaxes.search.arguments.settings import Settings
from jaxes.search.running import restarts as regimes
from jaxes.search.running.loop import Search
from jaxes.search.running.record import Record
from jaxes.search.running.result import Result
from jaxes.search.values import workers as processes
from jaxes.search.values.constrained import Both, ConstrainedEvaluation, functions_of
from jaxes.search.values.evaluation import Evaluation
from jaxes.search.values.repeated import NoisyEvaluation
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.numerals import told
from jaxes.termination import Tolerances


def minimize_function(
    f: Callable[[Any], Any],
    x0: Any,
    sigma: Any = None,
    *,
    bounds: Any = None,
    integer: Any = None,
    constraints: Any = None,
    noisy: bool = False,
    target: float | None = None,
    budget: int | None = None,
    seconds: float | None = None,
    restarts: int | Literal["ipop", "bipop"] | None = None,
    population_size: int | None = None,
    strategy: Callable[..., Strategy] | str = "cma_es",
    tolerances: Tolerances | None = None,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    verbose: int = 1,
    **options: Any,
) -> Result:
    """Minimize a plain function of a NumPy array, as `scipy.optimize.minimize` or `cma.fmin2` would.

    The search is in float64, whatever JAX's default is: `f` gets doubles, which it may keep or change, and its values
    are ranked as doubles. With `cma_es` it runs in NumPy and compiles nothing; other strategies are compiled once for
    each population size.

    Args:
        f: float64[n] -> number (or an array of one number), lower is better; NaN where there is no value.
        x0: where to start: float[n], a list or tuple of n numbers (or any tree of them), or a function `rng -> x0` of
            a `numpy.random.Generator`, which is called for every run.
        sigma: initial standard deviation in units of `x0`, about a quarter of the width of the region to search; one
            number, or one for each coordinate. Where every coordinate has two bounds it may be left out, and is that.
        bounds: `(low, high)`, each a number or one for each coordinate, a sequence of n pairs `(low, high)`, or a
            `scipy.optimize.Bounds`; None stands for no bound, of a side or a pair's entry. For two coordinates, pairs
            must be tuples. Members never leave them (`jaxes.wrappers.bounded`, method "smooth").
        integer: which coordinates are whole numbers: True for all, n booleans, or their places; `f` gets whole numbers
            there (`jaxes.wrappers.integer`).
        constraints: a function of the same argument as `f` that returns numbers g_i(x), or a list of such functions:
            g_i(x) <= 0 is wanted (`jaxes.search.values.lagrangian`; with `vectorized`, float64[population_size, m], and
            both get one candidate more now and then). They may be broken on the way, and `f` may be NaN there; `x` and
            `fun` are of the best point where all hold, and `violation` says whether there was one. Members are ranked
            by an augmented Lagrangian, whose values stand in the history. h(x) = 0 is approached by h(x) - e <= 0 and
            -h(x) - e <= 0.
        noisy: whether `f` returns another value when it is called again. Some members are evaluated twice then, steps
            get wider where noise would hide differences, and members are evaluated more often where noise grows with
            the steps (`jaxes.search.values.noisy`, after Hansen et al. 2009). `x` is where the search settles, an
            average of its means, and `fun` the mean of 10 or more values there (1 % of all evaluations).
        target: stop when a value is at most this, with `constraints` a value where they hold, with `noisy` the median
            value of a generation.
        budget: how many evaluations there may be; only whole generations are evaluated.
        seconds: stop after the generation in which that much time is over.
        restarts: what follows when a run has ended. None: the search ends. A number: that many new runs, each with
            twice the population of the run before. "ipop": the same, as often as the budget allows. "bipop": runs with
            doubled populations alternate with runs with small populations and small steps, at equal cost (Hansen
            2009).
        population_size: members of the first run; 4 + floor(3 ln n) by default.
        strategy: a factory, `strategy(population_size, sigma, **options)`, or its name; `jaxes.cma_es` by default.
        tolerances: thresholds of the criteria that end a run, `jaxes.termination.Tolerances`.
        callback: called after every generation with the new row of the history, and with `x`, the best point so far;
            if it returns True, the search ends.
        vectorized: `f` takes all candidates at once: float64[population_size, n] -> float[population_size]. With
            `noisy` it also gets other numbers of them.
        workers: processes that evaluate `f`; -1 for one on each core, None for none. `f` may be anything that can be
            called, also a lambda or a notebook's; each process has a copy of it. A member whose process dies is
            evaluated again. The numbers are those of a search without processes, but for a function that draws random
            numbers from a generator that it holds: every process has a copy in the same state. Let it seed one from the
            clock or from `os.getpid()` when it is first called.
        out: a folder for the state of the search and `history.json`, which `jaxes plot` draws; both are written while
            it goes on. A folder that holds a search is refused unless `resume` goes on with it.
        resume: go on with the search in `out`, if there is one, to the same numbers as if it had not been stopped.
        seed: seed of all randomness, an int of 0 or more; the same seed gives the same search.
        verbose: 0 prints nothing; 1 prints a line now and then of a search that takes over 2 seconds; 2 begins at once.
        **options: options of the factory.

    Returns:
        A `Result`. Its history has the columns `nfev`, `best`, `median` and `worst` (values in this generation), `fun`
        (the best value so far), `run`, `population_size`, `sigma`, `axis_ratio` (1 if the strategy has no covariance),
        all [generations], and `mean` and `deviation` (of the distribution), float[generations, n]; of a search of
        many thousand generations it has every second, fourth, ... one. Ctrl-C ends the search with what it has found
        (`stop` is "interrupted"), once something has been evaluated.

    Raises:
        TypeError: if `f` returns anything but one real number, if `x0` holds anything but real numbers, or for an
            argument by its name in another library.
        ValueError: if the budget is smaller than one generation, if restarts would never end, or if `x0` lies outside
            the bounds.
        FileExistsError: if `out` holds a search and `resume` is False.
        Exception: what `f` raises, with what was found until then as its attribute `result`.

    >>> import numpy as np
    >>> rosenbrock = lambda x: sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> result = minimize_function(rosenbrock, np.zeros(4), 0.5, target=1e-4, budget=5000)
    >>> result.stop, bool(result.nfev < 5000), bool(np.allclose(result.x, 1, atol=0.1))
    ('target', True, True)
    """
    _check(f, vectorized, budget, seconds, population_size, noisy, target, tolerances, callback, out, resume, verbose)
    regimes.check(restarts, budget)
    factory = factory_of(strategy)
    spellings.check(options, factory)
    checks.integer("seed", seed, 0, 2**63 - 1)
    count = processes.wanted(workers)
    if count and vectorized:
        raise ValueError("workers must be None with vectorized=True: f evaluates all candidates at once")
    rng = np.random.default_rng(seed)
    begin = (lambda rng: start_of(x0(rng))) if callable(x0) else lambda rng: start_of(x0)
    first = begin(rng)
    box, whole = box_of(bounds, first), whole_of(integer, first)
    one, units = sigmas(quarter_of(box, first) if sigma is None else sigma, first)
    check_start(first, box, whole)
    size = 4 + int(3 * math.log(ravel(first).size)) if population_size is None else int(population_size)
    functions = () if constraints is None else functions_of(constraints)
    if functions and noisy:
        raise ValueError("noisy must be False with constraints: multipliers are read from single values")
    settings = Settings(
        factory=factory,
        options=options,
        sigma=one,
        units=units,
        box=box,
        whole=whole,
        tolerances=tolerances or tolerances_of(one),
        seed=int(seed),
        noisy=noisy,
        limited=budget is not None,
        constrained=bool(functions),
    )
    record = None if out is None else Record(out)
    pool = processes.Workers(Both(f, functions) if functions else f, count) if count else None
    if functions:
        evaluation: Evaluation = ConstrainedEvaluation(f, functions, vectorized, pool, target, settings)
    else:
        evaluation = (NoisyEvaluation if noisy else Evaluation)(f, vectorized, pool, target)
    kinds = regimes.Restarts(restarts)
    search = Search(settings, first, begin, rng, size, kinds, evaluation, budget, seconds, callback, record, verbose)
    if record is not None and not resume:
        record.refuse()
    elif record is not None and (kept := record.read()) is not None:
        search.restore(*kept)
    return search.go()


def _check(
    f, vectorized, budget, seconds, population_size, noisy, target, tolerances, callback, out, resume, verbose
) -> None:
    checks.function("f", f, "all candidates" if vectorized else "a candidate")
    if population_size is not None:
        checks.population_size(population_size)
    if tolerances is not None and not isinstance(tolerances, Tolerances):
        raise TypeError(f"tolerances must be jaxes.termination.Tolerances(...), got {tolerances!r}")
    if callback is not None:
        checks.function("callback", callback, "a row of the history")
    limits.check(budget, target, seconds)
    if not isinstance(noisy, bool):
        raise TypeError(f"noisy must be True or False, got {told(noisy)}")
    if resume and out is None:
        raise ValueError("resume=True goes on with the search in a folder, so out must be given")
    if isinstance(verbose, str) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 0, 1 or 2, got {verbose!r}")
