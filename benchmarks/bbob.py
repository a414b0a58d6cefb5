"""cma_es with restarts on BBOB, beside pycma from the same starts: average running times and successes.

python benchmarks/bbob.py; writes benchmarks/results/bbob.json. The functions are those of the `ioh` package.
With --profiles it runs all functions to 1e-8 instead, and writes bbob_profiles.json, bbob-5.png and bbob-10.png.

An average running time (aRT) is the evaluations of all runs, each up to its success or its end, over the successes.
"""

import argparse
import functools
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import _measure
import _profiles
import numpy as np

UNIMODAL = (1, 2, 5, 6, 8, 9, 10, 11, 14)
HARD = (12, 13)
MULTIMODAL = (15, 16, 21, 22)
BUDGET = 2000  # evaluations a dimension
SIGMA = 2.0


def starts(function: int, instance: int, n: int, repeat: int) -> Callable[..., np.ndarray]:
    """Where runs and restarts of both begin: uniform in (-4, 4)^n."""
    rng = np.random.default_rng([function, instance, n, repeat][: 4 if repeat else 3])
    return lambda *_: rng.uniform(-4, 4, n)


def problem(function: int, instance: int, n: int):
    """The function's distance from its optimum, of a vector."""
    import ioh

    made = ioh.get_problem(function, instance, n, ioh.ProblemClass.BBOB)
    optimum = made.optimum.y
    return lambda x: made(np.asarray(x, dtype=float)) - optimum


def ours(function: int, instance: int, n: int, target: float, restarts: str, repeat: int) -> tuple[int, float, bool]:
    """Evaluations, the best value, and whether all numbers stayed finite."""
    import jaxes

    f = problem(function, instance, n)
    result = jaxes.minimize_function(
        f,
        starts(function, instance, n, repeat),
        SIGMA,
        target=target,
        budget=BUDGET * n,
        restarts=restarts,
        seed=instance + 1000 * repeat,
        verbose=0,
    )
    return result.nfev, result.fun, bool(np.isfinite(result.history["mean"]).all())


def pycma(function: int, instance: int, n: int, target: float, restarts: str, repeat: int) -> tuple[int, float, bool]:
    """The same by pycma."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cma

        f = problem(function, instance, n)
        best, count = np.inf, 0

        def counted(x):
            nonlocal best, count
            value = f(x)
            if best > target:
                best, count = min(best, value), count + 1
            return value

        options = {"ftarget": target, "seed": 1 + instance + 1000 * repeat, "verbose": -9, "maxfevals": BUDGET * n}
        cma.fmin2(
            counted, starts(function, instance, n, repeat), SIGMA, options, restarts=50, bipop=restarts == "bipop"
        )
    return count, best, True


SIDES = {"jaxes": ours, "pycma": pycma}


def one(side: str, case: tuple) -> tuple[int, float, bool]:
    return SIDES[side](*case)


def compare(pool, functions, n: int, instances: int, target: float, restarts="ipop", repeats=1):
    """A row for each function: aRT and successes of each side, and the ratio of the aRTs."""
    rows = {}
    for function in functions:
        row = {}
        for side in SIDES:
            cases = [(function, i, n, target, restarts, r) for r in range(repeats) for i in range(1, instances + 1)]
            runs = list(pool.map(functools.partial(one, side), cases))
            solved = [value <= target for _, value, _ in runs]
            total = sum(count for count, _, _ in runs)
            row[side] = {
                "art": total / sum(solved) if any(solved) else None,
                "solved": sum(solved),
                "of": len(cases),
                "finite": all(finite for _, _, finite in runs),
            }
        arts = [row[side]["art"] for side in SIDES]
        row["ratio"] = arts[0] / arts[1] if all(arts) else None
        rows[f"f{function}"] = row
        print(f"D={n} {restarts} target {target:g} f{function}: {row}", flush=True)
    return rows


def of(case: tuple) -> Callable:
    """The function of a profile."""
    return problem(*case)


def ours_to_the_end(f: Callable, case: tuple) -> None:
    """A run of a profile."""
    import jaxes

    function, instance, n = case
    start = starts(function, instance, n, 0)
    how = {"target": 1e-8, "budget": BUDGET * n, "restarts": "ipop", "seed": instance, "verbose": 0}
    jaxes.minimize_function(f, start, SIGMA, **how)


def pycma_to_the_end(f: Callable, case: tuple) -> None:
    """The same by pycma."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cma

        function, instance, n = case
        options = {"ftarget": 1e-8, "seed": 1 + instance, "verbose": -9, "maxfevals": BUDGET * n}
        cma.fmin2(f, starts(function, instance, n, 0), SIGMA, options, restarts=50)


def profiles(pool) -> None:
    """Run and draw the profiles."""
    found = {}
    for n in _profiles.INSTANCES:
        sides = {"jaxes": ours_to_the_end, "pycma": pycma_to_the_end}
        found[f"D={n}"] = _profiles.measure(pool, sides, of, n)
        print(_profiles.draw(found[f"D={n}"], n))
    what = f"cma_es with IPOP, x0 uniform in (-4, 4)^D, sigma {SIGMA:g}, {BUDGET} D evaluations at most"
    grid = _profiles.GRID.round(2).tolist()
    _measure.save("bbob_profiles", {"what": what, "targets": "51 from 1e2 to 1e-8", "grid": grid, **found})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", action="store_true", help="runtime profiles of all functions")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of the parts to run again; the others keep their results")
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of each process of the pool
    every = tuple(range(1, 25))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        if options.profiles:
            return profiles(pool)
        parts = {
            "D=5": lambda: compare(pool, UNIMODAL + HARD, 5, 15, 1e-8),
            "D=10": lambda: compare(pool, UNIMODAL + HARD, 10, 15, 1e-8),
            "D=20": lambda: compare(pool, UNIMODAL + HARD, 20, 15, 1e-8),
            "D=5, multimodal, to 1e-1": lambda: compare(pool, MULTIMODAL, 5, 15, 1e-1),
            "D=5, BIPOP, all functions": lambda: compare(pool, every, 5, 15, 1e-8, restarts="bipop", repeats=3),
        }
        figures = _measure.load("bbob").get("parts", {})
        for name, part in parts.items():
            if options.only and not any(word in name for word in options.only):
                continue
            began = time.perf_counter()
            figures[name] = part() | {"seconds": round(time.perf_counter() - began, 1)}
            what = f"cma_es, x0 uniform in (-4, 4)^D, sigma {SIGMA:g}, {BUDGET} D evaluations at most"
            _measure.save("bbob", {"what": what, "parts": figures})


if __name__ == "__main__":
    main()
