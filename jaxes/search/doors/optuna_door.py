"""Evolution strategies as a sampler of Optuna's trials."""

from typing import Any

from jaxes.support import extras


def optuna_sampler(
    sigma: float = 1 / 6,
    *,
    population_size: int | None = None,
    strategy: Any = "cma_es",
    restarts: bool = True,
    independent: Any = None,
    startup: int = 1,
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
    The search is kept in the study's storage: any process that loads the study goes on with it.

    Args:
        sigma: initial standard deviation, as a share of each parameter's range.
        population_size: trials per generation; by default 4 + floor(2 ln n), fewer than usual, since trials are few.
        strategy: a factory such as `jaxes.cma_es`, or its name.
        restarts: whether a search that can gain no more is followed by one with twice the population, from elsewhere.
        independent: an Optuna sampler for the parameters that are sampled independently; Optuna's `TPESampler` by
            default.
        startup: completed trials before the search begins, 1 or more; they are sampled independently.
        seed: an int of 0 or more for the same trials again, if they are evaluated one at a time.
        **options: of the factory.

    Returns:
        An `optuna.samplers.BaseSampler`.

    Raises:
        ImportError: without Optuna; the message says what to install.
        ValueError: in a study of several objectives.

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
    return Sampler(sigma, population_size, strategy, restarts, independent, startup, seed, options)
