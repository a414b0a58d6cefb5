"""`jaxes.minimize_function(noisy=True)` beside pycma's noise handler: distances from the optimum at equal evaluations.

python benchmarks/minimize_noisy.py [--seeds N] [--budgets N ...]; writes benchmarks/results/minimize_noisy.json. In
10 dimensions, from 3 in every coordinate (Rosenbrock: 0) with sigma 1. Noise is added to every value (standard
deviation 0.1), or multiplies it (0.4 of it). Of pycma counts the mean, of a handler that evaluates members once (its
default) and of one that evaluates them up to 30 times, whichever is nearer; criteria are off, so that both take all
evaluations.

At the middle budget there are other ways to search, too: the same without the average of means, with every answer to
noise at once (as pycma has it), with wider steps alone, and with more evaluations alone.
"""

import argparse
import contextlib
import math
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import _measure
import numpy as np

import jaxes
from jaxes.search.values import noisy
from jaxes.termination import Tolerances

N = 10
SCALES = 10.0 ** (6 * np.arange(N) / (N - 1))


class Problem(NamedTuple):
    """A function of float64[n], where its minimum is, where to start, and the noise of its values."""

    f: Callable[[np.ndarray], float]
    optimum: float
    start: float
    added: float = 0.0
    relative: float = 0.0

    def noisy(self, seed: int) -> Callable[[np.ndarray], float]:
        rng = np.random.default_rng(1000 + seed)
        return lambda x: self.f(x) * (1 + self.relative * rng.standard_normal()) + self.added * rng.standard_normal()


sphere = lambda x: float(x @ x)
ellipsoid = lambda x: float(SCALES * x @ x)
rosenbrock = lambda x: float(100 * np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x[:-1]) ** 2))

PROBLEMS = {
    "sphere": Problem(sphere, 0, 3, added=0.1),
    "ellipsoid": Problem(ellipsoid, 0, 3, added=0.1),
    "Rosenbrock": Problem(rosenbrock, 1, 0, added=0.1),
    "sphere, relative": Problem(sphere, 0, 3, relative=0.4),
}
NEVER = Tolerances(fun=0, fun_history=0, x=0)
ASKED = ("sphere", "ellipsoid")


def ours(problem: Problem, budget: int, seed: int) -> Any:
    settings = {"noisy": True, "budget": budget, "tolerances": NEVER, "seed": seed, "verbose": 0}
    return jaxes.minimize_function(problem.noisy(seed), np.full(N, float(problem.start)), 1.0, **settings)


def pycma(problem: Problem, budget: int, seed: int, most: int) -> tuple[np.ndarray, int]:
    """Where pycma's mean is at the end, and how many evaluations it took."""
    import cma

    np.random.seed(seed + 1)
    never = {name: 0 for name in ("tolfun", "tolfunhist", "tolx", "tolstagnation")}
    never |= {"tolfacupx": 1e9, "tolconditioncov": 1e30, "maxiter": 10**9, "tolflatfitness": 10**9}
    options = {**never, "maxfevals": budget, "verbose": -9, "seed": seed + 1}
    handler = cma.NoiseHandler(N, maxevals=[1, 1, most])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = np.full(N, float(problem.start))
        _, search = cma.fmin2(problem.noisy(seed), start, 1.0, options, noise_handler=handler)
    return search.result.xfavorite, int(search.countevals)


@contextlib.contextmanager
def way(name: str) -> Iterator[None]:
    """The search as it is inside, or changed."""
    told = noisy.Uncertainty.told
    never_wider = lambda self, *given: (told(self, *given)[0], 1.0)
    with contextlib.ExitStack() as stack:
        change = lambda *what: stack.enter_context(mock.patch.object(*what))
        if name in ("every answer at once", "more evaluations alone"):
            change(noisy, "GROWS", -math.inf)
        if name == "more evaluations alone":
            change(noisy, "MOST", 10**6)
            change(noisy.Uncertainty, "told", never_wider)
        if name == "wider steps alone":
            change(noisy, "MOST", 1)
        yield


WAYS = ("every answer at once", "wider steps alone", "more evaluations alone")


def measure(problem: Problem, budget: int, seeds: int, ways: bool) -> dict[str, Any]:
    """Medians over seeds of all sides' distances from the optimum, evaluations and values without noise."""
    away = lambda x: float(np.linalg.norm(x - problem.optimum))
    results = [ours(problem, budget, seed) for seed in range(seeds)]
    row = {
        "jaxes": statistics.median(away(result.x) for result in results),
        "jaxes evaluations": statistics.median(result.nfev for result in results),
        "jaxes value": statistics.median(problem.f(result.x) for result in results),
    }
    for most in (1, 30):
        theirs = [pycma(problem, budget, seed, most) for seed in range(seeds)]
        row[f"pycma {most}"] = statistics.median(away(x) for x, _ in theirs)
        row[f"pycma {most} evaluations"] = statistics.median(count for _, count in theirs)
        row[f"pycma {most} value"] = statistics.median(problem.f(x) for x, _ in theirs)
    row["ratio"] = row["jaxes"] / min(row["pycma 1"], row["pycma 30"])
    if ways:
        row["the last mean"] = statistics.median(away(result.history["mean"][-1]) for result in results)
        for name in WAYS:
            with way(name):
                row[name] = statistics.median(away(ours(problem, budget, seed).x) for seed in range(seeds))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--budgets", type=int, nargs="+", default=[3_000, 10_000, 30_000])
    given = parser.parse_args()
    figures: dict[str, Any] = {"n": N, "seeds": given.seeds, "distances": {}}
    bounds = _measure.Bounds()
    middle = sorted(given.budgets)[len(given.budgets) // 2]
    for name, problem in PROBLEMS.items():
        for budget in given.budgets:
            row = measure(problem, budget, given.seeds, budget == middle)
            figures["distances"][f"{name}, {budget}"] = row
            print(name, budget, {key: float(f"{value:.4g}") for key, value in row.items()}, flush=True)
            if name in ASKED:
                bounds.at_most(f"noisy {name}, {budget} evaluations: distance / pycma's", row["ratio"], 1.2)
    print(_measure.save("minimize_noisy", {**figures, "bounds": bounds}))


if __name__ == "__main__":
    main()
