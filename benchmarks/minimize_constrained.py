"""Evaluations to the optimum of constrained functions, beside `cma.fmin_con2` of pycma.

Problems g06, g07 and g09 of the CEC 2006 set (Liang et al. 2006), and the sphere in 10 dimensions with one and five
active linear constraints. Both start at the same points, uniform in the box, with a quarter of its width as sigma. What
is counted is evaluations until a feasible point has a value within a distance of the optimum's, absolute (of g06 too,
whose optimum is -6962); the median over seeds, infinite where half of them have not got there.

Variants of jaxes say what its parts do:
- no point more: without the point that is moved to where constraints just hold (`jaxes.search.values.boundary`);
- the mean instead: that point is the weighted mean of the better half, as if the mean were evaluated;
- no memory: multipliers from one generation alone;
- by rules: multipliers begin with ratios of interquartile ranges and follow the mean's constraints (Atamna et al. 2017;
  Dufosse and Hansen 2021), with the factors of jaxes.

python benchmarks/minimize_constrained.py [--seeds 15]; writes benchmarks/results/minimize_constrained.json in five
minutes.
"""

import argparse
import math
import sys
import time
import warnings
from pathlib import Path

import _measure
import numpy as np

import jaxes
from jaxes.search.values import constrained
from jaxes.search.values.boundary import Boundary
from jaxes.search.values.lagrangian import AugmentedLagrangian

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from cec2006 import g06, g07, g09

BUDGET = 20_000
DISTANCES = (1e-1, 1e-2, 1e-4, 1e-6, 1e-8)
BOUND = 1e-4  # the distance that is asked for


def sphere(active):
    """The sphere, where so many coordinates are 1 or more."""
    return lambda x: (float(x @ x), list(1 - x[:active]))


BOX = (np.full(10, -10.0), np.full(10, 10.0))
PROBLEMS = {  # both functions, low and high bounds, the optimum
    "g06": (g06, np.array([13.0, 0.0]), np.array([100.0, 100.0]), -6961.81387558015),
    "g07": (g07, *BOX, 24.30620906818),
    "g09": (g09, np.full(7, -10.0), np.full(7, 10.0), 680.630057374402),
    "sphere, one of ten": (sphere(1), *BOX, 1.0),
    "sphere, five of ten": (sphere(5), *BOX, 5.0),
}


class Counted:
    """A problem as two functions, and when which distance was reached."""

    def __init__(self, name):
        self._problem, self.low, self.high, self._optimum = PROBLEMS[name]
        self.nfev, self.best, self.reached, self.began = 0, math.inf, {}, time.perf_counter()

    def start(self, seed):
        x0 = np.random.default_rng(seed).uniform(self.low, self.high)
        return x0, float(np.mean(self.high - self.low)) / 4

    def f(self, x):
        self.nfev += 1
        value, g = self._problem(x)
        if max(g) <= 0 and value < self.best:
            self.best = value
            for distance in DISTANCES:
                if value <= self._optimum + distance:
                    self.reached.setdefault(distance, self.nfev)
        return value

    def g(self, x):
        return self._problem(x)[1]

    @property
    def away(self):
        return self.best - self._optimum


def with_jaxes(problem, seed):
    x0, sigma = problem.start(seed)
    box = problem.low, problem.high
    settings = {"bounds": box, "constraints": problem.g, "budget": BUDGET, "seed": seed, "verbose": 0}
    return jaxes.minimize_function(problem.f, x0, sigma, **settings).stop


def with_pycma(problem, seed):
    import cma

    x0, sigma = problem.start(seed)
    options = {"bounds": [list(problem.low), list(problem.high)], "maxfevals": BUDGET, "verbose": -9, "seed": seed + 1}
    quiet = {"logging": 0, "archives": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, search = cma.fmin_con2(problem.f, x0, sigma, problem.g, options=options, kwargs_confit=quiet)
    return ", ".join(search.stop())


class NoPoint(Boundary):
    def propose(self, *_):
        return None


class MeanPoint(Boundary):
    REST = 1

    def _model(self, x, now, g, active):
        return x


class NoMemory(AugmentedLagrangian):
    MEMBERS = 0.0


class ByRules(AugmentedLagrangian):
    """Multipliers that begin with ratios of interquartile ranges and follow the mean's constraints."""

    DAMPING = 5

    def _estimate(self, f, g, place, spread):
        first, before = not self._unit_f, self._l
        super()._estimate(f, g, place, spread)
        if first:
            between = lambda x: np.subtract(*np.quantile(x, [0.75, 0.25], axis=0))
            self._l = between(f) / self._unit_f / (10 * between(g) + 1e-11)
        else:
            self._l = np.maximum(before + self._m * g.mean(axis=0) / self.DAMPING, 0)


VARIANTS = {
    "jaxes": (AugmentedLagrangian, Boundary),
    "no point more": (AugmentedLagrangian, NoPoint),
    "the mean instead": (AugmentedLagrangian, MeanPoint),
    "no memory": (NoMemory, Boundary),
    "by rules": (ByRules, Boundary),
}


def variant(name):
    def search(problem, seed):
        kept = constrained.AugmentedLagrangian, constrained.Boundary
        constrained.AugmentedLagrangian, constrained.Boundary = VARIANTS[name]
        try:
            return with_jaxes(problem, seed)
        finally:
            constrained.AugmentedLagrangian, constrained.Boundary = kept

    return search


def measured(searches, name, seeds):
    """For each search: evaluations to each distance and in all, seconds, and why it ended; interleaved over seeds."""
    runs = {search: [] for search in searches}
    for seed in range(seeds):
        for search, go in searches.items():
            problem = Counted(name)
            stop = go(problem, seed)
            runs[search].append((problem, stop, time.perf_counter() - problem.began))
    return {search: summary(some) for search, some in runs.items()}


def summary(runs):
    reached = {f"{d:g}": [problem.reached.get(d, math.inf) for problem, _, _ in runs] for d in DISTANCES}
    middle = {d: float(np.median(counts)) for d, counts in reached.items()}
    return {
        "evaluations to": {d: count if math.isfinite(count) else None for d, count in middle.items()},
        "within 1e-4": sum(BOUND in problem.reached for problem, _, _ in runs),
        "evaluations": float(np.median([problem.nfev for problem, _, _ in runs])),
        "distance": float(np.median([problem.away for problem, _, _ in runs])),
        "largest distance": max(problem.away if math.isfinite(problem.away) else 1e300 for problem, _, _ in runs),
        "seconds": float(np.median([seconds for _, _, seconds in runs])),
        "stops": {stop: sum(other == stop for _, other, _ in runs) for stop in sorted({stop for _, stop, _ in runs})},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=15)
    seeds = parser.parse_args().seeds
    searches = {name: variant(name) for name in VARIANTS} | {"pycma": with_pycma}
    figures, bounds = {}, _measure.Bounds()
    for name in PROBLEMS:
        figures[name] = measured(searches, name, seeds)
        for search, row in figures[name].items():
            print(f"{name:20} {search:18} {row['evaluations to']} {row['within 1e-4']} of {seeds}", flush=True)
        ours, theirs = (figures[name][search]["evaluations to"]["0.0001"] for search in ("jaxes", "pycma"))
        bounds.at_most(f"{name}: evaluations to 1e-4 / pycma's", (ours or math.inf) / (theirs or math.inf), 1.0)
        bounds.at_least(f"{name}: seeds within 1e-4", figures[name]["jaxes"]["within 1e-4"], seeds)
    _measure.save("minimize_constrained", {"seeds": seeds, "problems": figures, "bounds": bounds})


if __name__ == "__main__":
    main()
