"""`jaxes.minimize_function` beside pycma: evaluations, seconds of the first and of later calls, whole numbers, a loop.

python benchmarks/minimize.py [PART ...]; parts: evaluations, first, second, integer, loop (all by default). Writes
benchmarks/results/minimize.json. Both sides get the same function, start, sigma and target; an evaluation counts until
the target has been reached. Linear algebra has one thread on both sides, which is what pycma is fastest with.
"""

import argparse
import functools
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import _measure
import numpy as np
import threadpoolctl

SEEDS = 25
PROCESSES = 9  # of each side, for first calls
INTEGER_SEEDS = 45  # medians of 15 differ by a fifth from one choice of seeds to the next
INTEGER_SIZES = (5, 10, 20)
SEARCHES = 1000


def rosenbrock(x: np.ndarray) -> float:
    bend, rest = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    return float(100 * (bend @ bend) + rest @ rest)


def rastrigin(x: np.ndarray) -> float:
    return float(10 * (x.size - np.cos(2 * np.pi * x).sum()) + x @ x)


@functools.cache
def _scales(n: int) -> np.ndarray:
    return 10 ** (6 * np.arange(n) / (n - 1))


def ellipsoid(x: np.ndarray) -> float:
    return float(_scales(x.size) @ (x * x))


def sphere(x: np.ndarray) -> float:
    return float(x @ x)


def one_max(x: np.ndarray) -> float:
    return float(x.size - x.sum())


class Problem(NamedTuple):
    """A function, where to start, and when it is solved."""

    f: Callable[[np.ndarray], float]
    x0: np.ndarray | Callable[[int], np.ndarray]  # of the seed
    sigma: float
    target: float
    restarts: str | None = None
    budget: int = 10**6
    integer: tuple[int, ...] = ()
    bounds: tuple[float, float] | None = None

    def start(self, seed: int) -> np.ndarray:
        return self.x0(seed) if callable(self.x0) else self.x0


def uniform(n: int) -> Callable[[int], np.ndarray]:
    """A start for each seed, in (-4, 4)^n."""
    return lambda seed: np.random.default_rng([n, seed]).uniform(-4, 4, n)


PROBLEMS = {
    "Rosenbrock, n = 10": Problem(rosenbrock, np.zeros(10), 0.5, 1e-9),
    "Rastrigin, n = 5, IPOP": Problem(rastrigin, uniform(5), 2.0, 1e-6, restarts="ipop"),
    "ellipsoid, n = 100": Problem(ellipsoid, np.ones(100), 1.0, 1e-9),
}
ROUNDS = {"Rosenbrock, n = 10": 15, "Rastrigin, n = 5, IPOP": 25, "ellipsoid, n = 100": 3}
ASKED = {  # of seconds, over pycma's: first calls, later calls
    "Rosenbrock, n = 10": (1.0, 0.5),
    "Rastrigin, n = 5, IPOP": (1.0, 1.0),
    "ellipsoid, n = 100": (None, 0.3),
}


def integer_problems() -> dict[str, Problem]:
    """Half of the coordinates are whole numbers; all of them in the last, which has bounds."""
    found = {}
    for n in INTEGER_SIZES:
        half = tuple(range(n // 2))
        about = {"budget": 2000 * n, "integer": half}
        found[f"mixed sphere, n = {n}"] = Problem(sphere, uniform(n), 2.0, 1e-9, **about)
        found[f"mixed ellipsoid, n = {n}"] = Problem(ellipsoid, uniform(n), 2.0, 1e-9, **about)
        every = {"budget": 2000 * n, "integer": tuple(range(n)), "bounds": (0, 1)}
        found[f"one-max, n = {n}"] = Problem(one_max, np.full(n, 0.0), 0.5, 0.0, **every)
    return found


class Found(NamedTuple):
    """What a search came to."""

    value: float
    evaluations: int  # up to the target
    exact: bool  # whether f(x), computed again, is that value to the last bit
    seconds: float


def jaxes_side(problem: Problem, seed: int) -> Found:
    import jaxes

    counted = Counted(problem)
    began = time.perf_counter()
    result = jaxes.minimize_function(
        counted,
        problem.start(seed),
        problem.sigma,
        bounds=problem.bounds,
        integer=problem.integer or None,
        target=problem.target,
        budget=problem.budget,
        restarts=problem.restarts,
        seed=seed,
        verbose=0,
    )
    seconds = time.perf_counter() - began
    exact = np.float64(problem.f(np.asarray(result.x))).tobytes() == np.float64(result.fun).tobytes()
    return Found(counted.best, counted.evaluations, exact, seconds)


def pycma_side(problem: Problem, seed: int) -> Found:
    import cma

    counted = Counted(problem)
    options = {"ftarget": problem.target, "seed": 1 + seed, "verbose": -9, "maxfevals": problem.budget}
    if problem.integer:
        options["integer_variables"] = list(problem.integer)
    if problem.bounds is not None:
        options["bounds"] = list(problem.bounds)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, _ = cma.fmin2(counted, problem.start(seed), problem.sigma, options, restarts=50 * bool(problem.restarts))
    seconds = time.perf_counter() - began
    return Found(counted.best, counted.evaluations, problem.f(np.asarray(x)) == counted.best, seconds)


class Counted:
    """The function, with its evaluations up to the target."""

    def __init__(self, problem: Problem):
        self._f, self._target = problem.f, problem.target
        self.best, self.evaluations = np.inf, 0

    def __call__(self, x: np.ndarray) -> float:
        value = self._f(x)
        if self.best > self._target:
            self.best, self.evaluations = min(self.best, value), self.evaluations + 1
        return value


SIDES = {"jaxes": jaxes_side, "pycma": pycma_side}
EXACT: list[bool] = []  # of every search of ours


def searched(side: str, problem: Problem, seed: int) -> Found:
    found = SIDES[side](problem, seed)
    if side == "jaxes":
        EXACT.append(found.exact)
    return found


def evaluations() -> dict[str, Any]:
    """Medians over seeds."""
    rows = {}
    for name in ("Rosenbrock, n = 10", "Rastrigin, n = 5, IPOP"):
        row = {}
        for side in SIDES:
            runs = [searched(side, PROBLEMS[name], seed) for seed in range(SEEDS)]
            counts = [run.evaluations for run in runs]
            row[side] = {
                "median": statistics.median(counts),
                "mean": statistics.mean(counts),
                "solved": sum(run.value <= PROBLEMS[name].target for run in runs),
                "of": SEEDS,
            }
        row["ratio of medians"] = row["jaxes"]["median"] / row["pycma"]["median"]
        row["ratio of means"] = row["jaxes"]["mean"] / row["pycma"]["mean"]
        rows[name] = row
        print(name, row, flush=True)
    return rows


def beside(taken: dict[str, list[float]]) -> dict[str, Any]:
    """Minima and medians of the seconds of both sides, and the ratio of the medians."""
    row = _measure.summary({side: taken[side] for side in ("pycma", "jaxes")})
    return {**row, "ratio of medians": row["jaxes"]["median"] / row["pycma"]["median"]}


def first() -> dict[str, Any]:
    """Seconds of a first call in a process of its own, after the imports."""
    rows, own = {}, {**os.environ, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")}
    for name, (asked, _) in ASKED.items():
        if asked is None:
            continue
        taken: dict[str, list[float]] = {side: [] for side in SIDES}
        for turn in range(PROCESSES):
            for side in list(SIDES)[:: 1 if turn % 2 else -1]:
                command = [sys.executable, __file__, "--process", side, name, str(turn)]
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
                taken[side].append(json.loads(done.stdout.splitlines()[-1]))
        rows[name] = beside(taken)
        print(name, "first", rows[name], flush=True)
    return rows


def process(side: str, name: str, seed: str) -> None:
    """What a process of `first` does; imports stand before its clock."""
    if side == "jaxes":
        import jaxes

        _ = jaxes.minimize_function
    else:
        import cma  # noqa: F401
    print(json.dumps(SIDES[side](PROBLEMS[name], int(seed)).seconds))


def second() -> dict[str, Any]:
    """Seconds of calls after the first, by turns."""
    rows = {}
    for name, problem in PROBLEMS.items():
        taken: dict[str, list[float]] = {side: [] for side in SIDES}
        counts: dict[str, list[int]] = {side: [] for side in taken}
        for turn in range(-1, ROUNDS[name]):
            for side in list(taken)[:: 1 if turn % 2 else -1]:
                found = searched(side, problem, max(turn, 0))
                if turn >= 0:
                    taken[side].append(found.seconds)
                    counts[side].append(found.evaluations)
        rows[name] = beside(taken)
        for side in taken:
            rows[name][side]["evaluations"] = statistics.median(counts[side])
        print(name, "second", rows[name], flush=True)
    return rows


def integer() -> dict[str, Any]:
    """Whole numbers: searches that reach the target, and evaluations a success."""
    rows = {}
    for name, problem in integer_problems().items():
        row = {}
        for side in SIDES:
            runs = [searched(side, problem, seed) for seed in range(INTEGER_SEEDS)]
            solved = [run.evaluations for run in runs if run.value <= problem.target]
            row[side] = {
                "solved": len(solved),
                "of": INTEGER_SEEDS,
                "median": statistics.median(solved) if solved else None,
                "evaluations a success": sum(run.evaluations for run in runs) / len(solved) if solved else None,
            }
        for what in ("median", "evaluations a success"):
            both = [row[side][what] for side in SIDES]
            row[f"ratio, {what}"] = both[0] / both[1] if all(both) else None
        rows[name] = row
        print(name, row, flush=True)
    return rows


def loop() -> dict[str, Any]:
    """Many searches in one process, each with another seed, start, sigma and bounds: memory, and compiled programs."""
    import jax
    import psutil

    import jaxes

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    rows = {}
    mebibytes = lambda: (gc.collect(), psutil.Process().memory_info().rss / 2**20)[1]
    for strategy, searches in {"cma_es": SEARCHES, "xnes": SEARCHES}.items():
        rng, after = np.random.default_rng(0), {}
        for search in range(searches):
            x0, sigma = rng.uniform(-1, 1, 5), rng.uniform(0.1, 1)
            jaxes.minimize_function(
                sphere,
                x0,
                sigma,
                bounds=(-1 - rng.uniform(0, 1, 5), 1 + rng.uniform(0, 1, 5)),
                strategy=strategy,
                target=1e-6,
                budget=200,
                seed=search,
                verbose=0,
            )
            if search + 1 in (1, 100, searches):
                after[search + 1] = {"mebibytes": mebibytes(), "programs": len(compiled)}
        rows[strategy] = {
            "after": after,
            "programs after the first search": after[searches]["programs"] - after[1]["programs"],
            "mebibytes from search 100 on": after[searches]["mebibytes"] - after[100]["mebibytes"],
        }
        print(strategy, rows[strategy], flush=True)
    return rows


PARTS = {"evaluations": evaluations, "first": first, "second": second, "integer": integer, "loop": loop}


def bounds_of(parts: dict[str, Any]) -> _measure.Bounds:
    """What was asked, and what was measured."""
    bounds = _measure.Bounds()
    if "evaluations" in parts:
        ratio = parts["evaluations"]["Rosenbrock, n = 10"]["ratio of medians"]
        bounds.at_most("Rosenbrock, n = 10: evaluations / pycma's", ratio, 1.1)
    for name, (early, later) in ASKED.items():
        if early is not None and "first" in parts:
            ratio = parts["first"][name]["ratio of medians"]
            bounds.at_most(f"{name}: seconds of a first call / pycma's", ratio, early)
        if "second" in parts:
            ratio = parts["second"][name]["ratio of medians"]
            bounds.at_most(f"{name}: seconds of a later call / pycma's", ratio, later)
    for name, row in parts.get("integer", {}).items():
        bounds.at_least(f"{name}: solved - pycma's", row["jaxes"]["solved"] - row["pycma"]["solved"], 0)
        if row["ratio, median"] is not None:
            bounds.at_most(f"{name}: evaluations / pycma's", row["ratio, median"], 1.2)
    for strategy, row in parts.get("loop", {}).items():
        name = f"{SEARCHES} searches, {strategy}"
        bounds.at_most(f"{name}: programs compiled after the first", row["programs after the first search"], 0)
        bounds.at_most(f"{name}: MiB from search 100 on", row["mebibytes from search 100 on"], 5)
    if "exact" in parts:
        off = sum(count - good for good, count in parts["exact"].values())
        bounds.at_most("results whose x has another value than they say", off, 0)
    return bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; the others keep their results")
    parser.add_argument("--process", nargs=3, metavar=("SIDE", "PROBLEM", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        return process(*options.process)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts {', '.join(unknown)}; known: {', '.join(PARTS)}")
    parts = _measure.load("minimize").get("parts", {})
    for name in options.parts or PARTS:
        EXACT.clear()
        with threadpoolctl.threadpool_limits(1):
            parts[name] = PARTS[name]()
        if EXACT:
            parts.setdefault("exact", {})[name] = [sum(EXACT), len(EXACT)]
        what = "cma_es as minimize_function runs it by default, beside pycma's fmin2"
        _measure.save("minimize", {"what": what, "bounds": bounds_of(parts), "parts": parts})
    print(json.dumps(bounds_of(parts), indent=1))


if __name__ == "__main__":
    main()
