"""What `jaxes.optuna_sampler` is given, checked before a study begins."""

import difflib
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.search.arguments.doubles import factory_of, made, positive
from jaxes.strategy import Strategy
from jaxes.support import checks
from jaxes.support.numerals import told

_TRIED = 64  # a population size that every strategy takes

_STUDY = "the ranges that trials give to suggest_float and suggest_int"
_TRIALS = "study.optimize(f, n_trials=...)"
_SIZE = "population_size=..., which restarts double"
_RESTARTS = "restarts=True or False"
_SIGMA = "sigma=..., a share of each parameter's range"
_DIRECTION = 'optuna.create_study(direction="minimize" or "maximize")'
_INSTEAD = {
    **dict.fromkeys(("bounds", "low", "high", "lb", "ub", "lower_bounds", "upper_bounds", "search_space"), _STUDY),
    **dict.fromkeys(("integer", "integers", "integrality"), "trial.suggest_int(...)"),
    **dict.fromkeys(("budget", "n_trials", "maxiter", "maxfev", "n_iter", "generations"), _TRIALS),
    **dict.fromkeys(("popsize", "pop_size", "population", "lambda_", "inc_popsize"), _SIZE),
    **dict.fromkeys(("restart_strategy", "restart", "n_restarts"), _RESTARTS),
    **dict.fromkeys(("sigma0", "sigma_init"), _SIGMA),
    **dict.fromkeys(("direction", "directions", "maximize", "minimize"), _DIRECTION),
    **dict.fromkeys(("startup", "n_startup", "startup_trials"), "n_startup_trials=..."),
    **dict.fromkeys(("independent", "sampler"), "independent_sampler=..."),
    **dict.fromkeys(("seconds", "timeout"), "study.optimize(f, timeout=...)"),
    **dict.fromkeys(("workers", "n_jobs"), "study.optimize(f, n_jobs=...)"),
    **dict.fromkeys(("callback", "callbacks"), "study.optimize(f, callbacks=[...])"),
    **dict.fromkeys(("target", "tolerances", "tol"), "study.stop() in a callback of study.optimize"),
    **dict.fromkeys(("random_state", "rng", "key"), "seed=..."),
    **dict.fromkeys(("method", "algorithm"), "strategy=..., a factory or its name"),
    "use_separable_cma": 'strategy="sep_cma_es"',
    "source_trials": "x0=source_study.best_params",
    "constraints": "a high value where they are broken, or optuna.TrialPruned",
    "constraints_func": "a high value where they are broken, or optuna.TrialPruned",
    "verbose": "optuna.logging.set_verbosity(...)",
}
_NEEDLESS = {
    "consider_pruned_trials": "pruned trials always count, behind those that were completed",
    "warn_independent_sampling": "there is no such warning",
    "with_margin": "whole numbers never freeze here",
    "lr_adapt": "there is no such adaptation",
}


def check(
    sigma: Any, x0: Any, population_size: Any, strategy: Any, restarts: Any, n_startup_trials: Any, seed: Any
) -> None:
    """Raise TypeError or ValueError for what an argument of the sampler may not be.

    >>> check(0.2, {"rate": 0.1}, 8, "cma_es", True, 1, None)
    """
    positive("sigma", sigma)
    _check_start(x0)
    if population_size is not None:
        checks.population_size(population_size)
    factory_of(strategy)
    if not isinstance(restarts, bool):
        raise TypeError(
            f"restarts must be True or False, got {restarts!r}: every restart has twice the population of the last"
        )
    checks.integer("n_startup_trials", n_startup_trials, 0)
    if seed is not None:
        checks.integer("seed", seed, 0, 2**31 - 1)


def check_options(
    options: Mapping[str, Any], strategy: Any, population_size: int | None, sigma: float, own: tuple[str, ...]
) -> None:
    """Raise for an option that the strategy does not have, or a value that it does not take.

    Args:
        options: of the strategy, by their names.
        strategy: a factory or its name.
        population_size: of the first generation, if it is known.
        sigma: the step size.
        own: names of the sampler's own arguments.

    >>> check_options({"popsize": 3}, "cma_es", None, 0.2, ("seed", "population_size"))
    Traceback (most recent call last):
    TypeError: popsize is no argument of optuna_sampler: use population_size=..., which restarts double
    """
    factory = factory_of(strategy)
    known = inspect.signature(factory).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for name in options:
        if name in known:
            continue
        if name in _NEEDLESS:
            raise TypeError(f"{name} is no argument of optuna_sampler: {_NEEDLESS[name]}")
        if name in _INSTEAD:
            raise TypeError(f"{name} is no argument of optuna_sampler: use {_INSTEAD[name]}")
        if not takes_all:
            maker = getattr(factory, "__name__", "the strategy")
            theirs = [x for x in known if x not in own]
            near = difflib.get_close_matches(name, [*own, *theirs], 1)
            hint = f"; did you mean {near[0]}?" if near else f": {maker} has {', '.join(theirs)}"
            raise TypeError(f"{name} is no argument of optuna_sampler, and no option of {maker}{hint}")
    tried = made(factory, population_size or _TRIED, sigma, dict(options))
    jax.eval_shape(lambda: tried.init(jax.random.key(0), jnp.zeros(_TRIED)))  # which looks at numbers


def usual_size(n: int, factory: Callable[..., Strategy], sigma: float, options: dict[str, Any]) -> int:
    """4 + floor(2 ln n) trials per generation, or the next number above that the strategy takes.

    >>> from jaxes import cma_es, open_es
    >>> usual_size(2, cma_es, 0.2, {}), usual_size(2, open_es, 0.2, {"learning_rate": 0.1})
    (5, 6)
    """
    least, failure = 4 + int(2 * math.log(n)), None
    for size in range(least, 2 * least + 1):
        try:
            made(factory, size, sigma, options)
            return size
        except ValueError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _check_start(x0: Any) -> None:
    if x0 is None:
        return
    if not isinstance(x0, Mapping) or not all(isinstance(name, str) for name in x0):
        raise TypeError(f"x0 must be a dict of parameters' names and where they start, got {told(x0)}")
    for name, value in x0.items():
        if isinstance(value, numbers.Real) and not math.isfinite(value):
            raise ValueError(f"x0[{name!r}] must be finite, got {value!r}")
        if not isinstance(value, numbers.Real | str | None):
            raise TypeError(f"x0[{name!r}] must be a value of the parameter {name}, got {told(value)}")
