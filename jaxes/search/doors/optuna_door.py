"""Evolution strategies as a sampler of Optuna's trials."""

from collections.abc import Mapping
from typing import Any

from jaxes.support import extras


def optuna_sampler(
    sigma: float = 1 / 6,
    *,
    x0: Mapping[str, Any] | None = None,
    population_size: int | None = None,
    strategy: Any = "cma_es",
    restarts: bool = True,
    n_startup_trials: int = 1,
    independent_sampler: Any = None,
    seed: int | None = None,
    **options: Any,
) -> Any:
    """A sampler for `optuna.create_study(sampler=...)`, of all parameters that every trial has and that are numbers.

    Ints and floats with a step are whole numbers of steps, which do not freeze (`jaxes.wrappers.integer`). What has no
    order (categorical parameters), and what some trials lack, is sampled independently; so is all of the first trial,
    before which a study has no parameters.

    A failed trial ranks last in its generation, a pruned one behind all that were completed: the later it was pruned,
    the better. Trials that run at the same time each get a member of their own; those that are asked for while the rest
    of a generation is being evaluated get further members of the same distribution. A member whose trial has not ended
    after as many of those as the population has members counts as failed, so a process that dies holds nobody up.
    The search is kept in the study's storage: any process that loads the study goes on with it. One sampler may serve
    several studies.

    Args:
        sigma: initial standard deviation, as a share of each parameter's range.
        x0: where the first search starts, values of parameters by their names; a parameter that it does not name starts
            in the middle of its range. What is not searched (a categorical parameter) is ignored.
        population_size: trials per generation; by default 4 + floor(2 ln n), fewer than usual, since trials are few, or
            the next number that the strategy takes.
        strategy: a factory such as `jaxes.cma_es`, or its name.
        restarts: whether a search that can gain no more is followed by one with twice the population, from elsewhere.
        n_startup_trials: completed trials before the search begins, at least 1 of them; they are sampled independently.
        independent_sampler: an Optuna sampler for the parameters that are sampled independently; Optuna's `TPESampler`
            by default.
        seed: an int of 0 or more for the same trials again, if they are evaluated one at a time.
        **options: of the factory.

    Returns:
        An `optuna.samplers.BaseSampler`.

    Raises:
        ImportError: without Optuna; the message says what to install.
        TypeError: for what is no argument and no option of the factory.
        ValueError: in a study of several objectives, or where `x0` lies outside of a parameter's range.

    >>> import jaxes, optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=jaxes.optuna_sampler(seed=0))
    >>> def f(trial):
    ...     return (trial.suggest_float("x", -5, 5) - 1) ** 2 + (trial.suggest_int("k", 0, 20) - 7) ** 2
    >>> study.optimize(f, n_trials=120)
    >>> study.best_params["k"], abs(study.best_params["x"] - 1) < 0.1
    (7, True)
    """
    try:
        from jaxes.search.doors.optuna_trials import Sampler
    except ImportError as error:
        if not (error.name or "").startswith("optuna"):
            raise
        raise extras.missing("optuna", "optuna", error) from error
    return Sampler(
        sigma=sigma,
        x0=x0,
        population_size=population_size,
        strategy=strategy,
        restarts=restarts,
        n_startup_trials=n_startup_trials,
        independent_sampler=independent_sampler,
        seed=seed,
        options=options,
    )
