"""What other libraries' names for the arguments of a search are here."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

_BOUNDS = "bounds=(low, high)"
_INTEGER = "integer=..., places such as [0, 2], or booleans for each coordinate"
_VERBOSE = "verbose=0, 1 or 2"
_BUDGET = "budget=..., a number of evaluations of f"
_SIZE = "population_size=..."
_TOLERANCES = "tolerances=jaxes.termination.Tolerances(...)"

_HERE = {
    **dict.fromkeys(("low", "high", "lb", "ub", "lower", "upper", "lower_bounds", "upper_bounds"), _BOUNDS),
    **dict.fromkeys(("xl", "xu", "lower_bound", "upper_bound"), _BOUNDS),
    **dict.fromkeys(("maxiter", "max_iter", "maxfun", "maxfev", "maxfevals", "max_evals", "max_evaluations"), _BUDGET),
    **dict.fromkeys(("n_iter", "generations", "max_generations", "n_trials", "iterations", "max_iterations"), _BUDGET),
    **dict.fromkeys(("integers", "integrality", "integer_variables"), _INTEGER),
    **dict.fromkeys(("popsize", "pop_size", "popsize_factor", "population", "lambda_"), _SIZE),
    **dict.fromkeys(("sigma0", "sigma_init", "init_stdev", "stdev"), "sigma=..."),
    **dict.fromkeys(("random_state", "rng", "key", "rng_seed"), "seed=..."),
    **dict.fromkeys(("tol", "xtol", "ftol", "xatol", "fatol", "tolx", "tolfun", "tolfunhist"), _TOLERANCES),
    **dict.fromkeys(("ftarget", "stop_fitness", "f_target", "fitness_threshold"), "target=..."),
    **dict.fromkeys(("method", "optimizer_name", "algorithm"), "strategy=..., a factory or its name"),
    **dict.fromkeys(("disp", "progress", "verb_disp"), _VERBOSE),
    **dict.fromkeys(("restart", "n_restarts", "bipop"), "restarts=..."),
    **dict.fromkeys(("timeout", "max_time", "maxtime", "time_limit"), "seconds=..."),
    **dict.fromkeys(("n_jobs", "parallel_objective", "n_workers", "processes"), "workers=..."),
    **dict.fromkeys(("noise_handler", "noise"), "noisy=True"),
    **dict.fromkeys(("cma_stds", "CMA_stds", "stds", "scaling_of_variables"), "sigma=[...], one for each coordinate"),
    "fixed_variables": "a function that fills them in: lambda x: f(whole(x))",
    "CMA_diagonal": "strategy='sep_cma_es'",
    "jac": "nothing: the search needs no derivatives",
    "args": "a function of one argument, such as lambda x: f(x, *args)",
}

_OF_ASK_AND_TELL = {
    _BUDGET: "a loop of as many generations as you want: it asks and tells",
    "target=...": "a loop that ends when best_value is good enough",
    _VERBOSE: "a loop that prints what you want",
    "restarts=...": "jaxes.minimize_function(..., restarts=...)",
}


_OF_THE_SEARCH = (
    *("bounds", "integer", "constraints", "noisy", "target", "budget", "restarts", "population_size", "strategy"),
    *("tolerances", "callback", "vectorized", "workers", "out", "resume", "seed", "verbose"),
)
_OF_THE_LOOP = ("bounds", "integer", "maximize", "minimize", "population_size", "strategy", "tolerances", "seed")


def check(options: Mapping[str, Any], factory: Callable[..., Any], *, loop: bool = False) -> None:
    """Raise TypeError for an option that the factory does not have, or that this search spells otherwise.

    Args:
        options: by their names.
        factory: of the strategy; what it takes is right.
        loop: whether the user has the loop, as with `jaxes.ESOpt`.

    >>> import jaxes
    >>> check({"learning_rate": 0.1}, jaxes.open_es)
    >>> check({"maxiter": 100}, jaxes.open_es)
    Traceback (most recent call last):
    TypeError: maxiter is no argument here: use budget=..., a number of evaluations of f
    >>> check({"buget": 100}, jaxes.cma_es)
    Traceback (most recent call last):
    TypeError: buget is no argument here, and no option of cma_es; did you mean budget?
    """
    known = inspect.signature(factory).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    others = {**_HERE, "budget": _BUDGET, "target": "target=...", "restarts": "restarts=...", "verbose": _VERBOSE}
    own, others = (_OF_THE_LOOP, others) if loop else (_OF_THE_SEARCH, _HERE)
    for name in options:
        if name in known:
            continue
        if (use := others.get(name)) is not None:
            raise TypeError(f"{name} is no argument here: use {_OF_ASK_AND_TELL.get(use, use) if loop else use}")
        maker = getattr(factory, "__name__", "the strategy")
        theirs = [x for x in known if x not in ("population_size", "sigma")]
        near = difflib.get_close_matches(name, [*own, *theirs], 1)
        hint = f"; did you mean {near[0]}?" if near else f": {maker} has {', '.join(theirs)}"
        raise TypeError(f"{name} is no argument here, and no option of {maker}{hint}")
