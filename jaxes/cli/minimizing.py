"""`jaxes minimize`."""

import signal
import sys
from typing import Any

import numpy as np

import jaxes
from jaxes.cli.arguments import Minimize
from jaxes.strategies import STRATEGIES
from jaxes.support import checks, modules
from jaxes.training.config import Config, other_options


def minimize(args: Minimize) -> int:
    if not all(args.function.partition(":")):
        raise ValueError(f"minimize needs a function as MODULE:NAME, such as my_module:cost, got {args.function!r}")
    if not args.x0:
        raise ValueError("minimize needs --x0, where to start: one number for each coordinate, such as --x0 0 0 0")
    x0 = np.array(args.x0)
    bounds = _bounds(args.bounds, x0.size)
    strategy = checks.named("strategy", args.strategy, STRATEGIES)
    options = other_options(Config(env="", strategy=strategy, options=args.options))
    if args.resume and args.out is None:
        raise ValueError("resume goes on with the search in a folder: --out names it")
    result = jaxes.minimize_function(
        modules.found(args.function, "function"),
        x0,
        _sigma(args.sigma, bounds, x0.size),
        bounds=bounds,
        integer=None if args.integer is None else args.integer or True,
        target=args.target,
        budget=args.budget,
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
    print(result)
    if args.out is not None:
        print(f"{args.out}: history.json; next: jaxes plot {args.out}", file=sys.stderr)
    return 128 + signal.SIGINT if result.stop == "interrupted" else 0


def _bounds(given: tuple[float, ...], n: int) -> Any:
    if not given:
        return None
    if len(given) not in (2, 2 * n):
        raise ValueError(f"bounds must be LOW HIGH, or {n} such pairs as x0 has {n} numbers, got {len(given)} numbers")
    return given if len(given) == 2 else (given[0::2], given[1::2])


def _sigma(given: tuple[float, ...], bounds: Any, n: int) -> Any:
    if len(given) not in (0, 1, n):
        raise ValueError(f"sigma must be one number, or {n} as x0 has {n} numbers, got {len(given)}")
    if given:
        return given[0] if len(given) == 1 else np.array(given)
    width = None if bounds is None else np.subtract(bounds[1], bounds[0])
    if width is None or not np.isfinite(width).all():
        raise ValueError("minimize needs --sigma, about a quarter of the width of the region to search")
    return width / 4


def _restarts(given: str | None) -> Any:
    try:
        return None if given is None else int(given)
    except ValueError:
        return given
