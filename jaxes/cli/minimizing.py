"""`jaxes minimize`."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import jaxes
from jaxes.cli import failures
from jaxes.cli.arguments import Minimize
from jaxes.search.running.result import Result
from jaxes.strategies import STRATEGIES
from jaxes.support import checks, modules
from jaxes.training.config import Config, other_options


def minimize(args: Minimize) -> int:
    """Search, and print what was found, also where the function has failed on the way."""
    try:
        result = _searched(args)
    except FileExistsError as error:
        raise FileExistsError(str(error).replace("resume=True", "--resume")) from None
    except Exception as error:
        return _failed(args, error)
    _print(args, result)
    return 128 + signal.SIGINT if result.stop == "interrupted" else 0


def _searched(args: Minimize) -> Result:
    if not all(args.function.partition(":")):
        raise ValueError(f"minimize needs a function as MODULE:NAME, such as my_module:cost, got {args.function!r}")
    x0 = np.array(_numbers("x0", args.x0))
    if not x0.size:
        raise ValueError("minimize needs --x0, where to start: one number for each coordinate, such as --x0 0 0 0")
    bounds = _bounds(_numbers("bounds", args.bounds), x0.size)
    strategy = checks.named("strategy", args.strategy, STRATEGIES)
    options = other_options(Config(env="", strategy=strategy, options=args.options))
    if args.resume and args.out is None:
        raise ValueError("resume goes on with the search in a folder: --out names it")
    return jaxes.minimize_function(
        modules.found(args.function, "function"),
        x0,
        _sigma(_numbers("sigma", args.sigma), bounds, x0.size),
        bounds=bounds,
        integer=None if args.integer is None else _numbers("integer", args.integer, int) or True,
        constraints=[_constraint(name) for name in args.constraints] or None,
        target=args.target,
        budget=_budget(args.budget),
        seconds=args.seconds,
        restarts=_restarts(args.restarts),
        population_size=args.population_size,
        strategy=strategy,
        seed=args.seed,
        workers=args.workers,
        vectorized=args.vectorized,
        noisy=args.noisy,
        out=args.out,
        resume=args.resume,
        verbose=args.verbose,
        **options,
    )


def _print(args: Minimize, result: Result) -> None:
    print(result)
    if result.x is not None:
        print(f"x = {result.x.tolist()}")  # all digits
    if args.out is not None:
        print(f"{args.out}: the search, for --resume, and history.json; next: jaxes plot {args.out}", file=sys.stderr)


def _failed(args: Minimize, error: Exception) -> int:
    """Tell an error with the frames of the user's code, and what had been found; raise one that is told otherwise."""
    if os.environ.get("JAXES_TRACEBACK"):
        raise error
    text = failures.text_of(error)
    of_user = failures.has_frames(text, of_user=True)
    told_by_caller = not of_user and isinstance(error, ValueError | TypeError | OSError | ImportError)
    if not told_by_caller:
        if failures.has_frames(text):
            print(text, file=sys.stderr)
        elif isinstance(error, RuntimeError):
            print(f"jaxes: {error}", file=sys.stderr)
        else:  # a fault of this library
            raise error
    result = getattr(error, "result", None)
    if isinstance(result, Result) and result.nfev:
        print("jaxes: the search has failed; until then it had found", file=sys.stderr, flush=True)
        _print(args, result)
    if told_by_caller:
        raise error
    return 1


def _numbers(name: str, words: tuple[str, ...], kind: Callable[[str], Any] = float) -> tuple[Any, ...]:
    """Numbers with spaces or commas between them, perhaps in brackets."""
    found = []
    for word in " ".join(words).replace(",", " ").strip("[]() ").split():
        try:
            found.append(kind(word))
        except ValueError:
            whole = "whole numbers" if kind is int else "numbers"
            raise ValueError(
                f"{name} must be {whole} with spaces between them, such as --{name} 0 1 2, got {word!r}"
            ) from None
    return tuple(found)


def _constraint(name: str) -> Any:
    if not all(name.partition(":")):
        raise ValueError(f"constraints must be functions as MODULE:NAME, such as my_module:limits, got {name!r}")
    return modules.found(name, "constraints")


def _bounds(given: tuple[float, ...], n: int) -> Any:
    if not given:
        return None
    if len(given) not in (2, 2 * n):
        raise ValueError(f"bounds must be LOW HIGH, or {n} such pairs as x0 has {n} numbers, got {len(given)} numbers")
    return given if len(given) == 2 else tuple(zip(given[0::2], given[1::2], strict=True))


def _sigma(given: tuple[float, ...], bounds: Any, n: int) -> Any:
    if len(given) not in (0, 1, n):
        raise ValueError(f"sigma must be one number, or {n} as x0 has {n} numbers, got {len(given)}")
    if given:
        return given[0] if len(given) == 1 else np.array(given)
    width = None if bounds is None else np.diff(np.reshape(bounds, (-1, 2)))[:, 0]
    if width is None or not np.isfinite(width).all():
        raise ValueError("minimize needs --sigma, about a quarter of the width of the region to search")
    return np.broadcast_to(width / 4, (n,))


def _budget(given: float | None) -> Any:
    return given if given is None or given % 1 else int(given)


def _restarts(given: str | None) -> Any:
    try:
        return None if given is None else int(given)
    except ValueError:
        return given
