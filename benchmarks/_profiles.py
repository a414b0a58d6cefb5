"""Runtime profiles on BBOB: which share of targets has been reached after how many evaluations.

`python benchmarks/bbob.py --profiles` runs all 24 functions and draws benchmarks/results/bbob-DIMENSION.png.
"""

import bisect
import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import _measure
import numpy as np
from matplotlib.figure import Figure

TARGETS = np.logspace(2, -8, 51)
GRID = np.logspace(0, np.log10(2000), 34)  # evaluations over the dimension
INSTANCES = {5: 15, 10: 5}
GROUPS = {
    "separable": range(1, 6),
    "moderate": range(6, 10),
    "ill-conditioned": range(10, 15),
    "multimodal": range(15, 20),
    "weakly structured": range(20, 25),
}
COLORS = {"jaxes": "#1f6fd6", "pycma": "#e08a2e"}


class Hits:
    """A function, with the evaluation at which it reached each target."""

    def __init__(self, f: Callable[[Any], float]):
        self._f = f
        self.evaluations, self.at = 0, []

    def __call__(self, x: Any) -> float:
        value = self._f(x)
        self.evaluations += 1
        while len(self.at) < len(TARGETS) and value <= TARGETS[len(self.at)]:
            self.at.append(self.evaluations)
        return value


def reached(run: Callable[[Hits, tuple], None], of: Callable[[tuple], Callable], case: tuple) -> list[int]:
    """The evaluations at which a run reached the targets; as many as it reached.

    Args:
        run: searches a function.
        of: the function of a case.
        case: function, instance and dimension, and what `run` wants to know.
    """
    hits = Hits(of(case))
    run(hits, case)
    return hits.at


def curve(runs: Iterable[list[int]], n: int) -> list[float]:
    """The share of targets that has been reached at each point of the grid: of all targets of all runs."""
    runs = list(runs)
    every = sorted(itertools.chain.from_iterable(runs))
    return [round(bisect.bisect_right(every, n * point) / (len(TARGETS) * len(runs)), 4) for point in GRID]


def measure(pool: Any, sides: dict[str, Callable], of: Callable, n: int) -> dict[str, Any]:
    """The curves of all functions, by side and function."""
    cases = [(f, i, n) for f in range(1, 25) for i in range(1, INSTANCES[n] + 1)]
    curves: dict[str, Any] = {}
    for side, run in sides.items():
        runs = list(pool.map(functools.partial(reached, run, of), cases, chunksize=5))
        by_function = {f: [at for at, case in zip(runs, cases, strict=True) if case[0] == f] for f in range(1, 25)}
        curves[side] = {f"f{f}": curve(some, n) for f, some in by_function.items()}
    areas = {side: float(np.mean(list(curves[side].values()))) for side in sides}
    print(f"D={n}: mean share of targets over the logarithm of evaluations: {areas}", flush=True)
    return {"instances": INSTANCES[n], "area": areas, "curves": curves}


def draw(figures: dict[str, Any], n: int) -> Any:
    """Draw one dimension: all functions, then each group."""
    curves = figures["curves"]
    figure = Figure(figsize=(10.5, 6.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    groups = {"all 24 functions": range(1, 25), **GROUPS}
    for axes, (name, functions) in zip(panels, groups.items(), strict=True):
        for side, color in COLORS.items():
            share = np.mean([curves[side][f"f{f}"] for f in functions], axis=0)
            width, style = (2.2, "-") if side == "jaxes" else (1.8, "--")
            axes.plot(GRID, share, style, color=color, linewidth=width, label=side)
        numbers = "" if len(functions) == 24 else f", f{functions[0]}-f{functions[-1]}"
        axes.set_title(name + numbers, loc="left", fontsize=10, fontweight="bold")
        axes.set_xscale("log")
        axes.set_xlim(1, 2000)
        axes.set_ylim(0, 1)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, loc="upper left")
    for axes in panels[3:]:
        axes.set_xlabel("evaluations / dimension", fontsize=9)
    for axes in panels[::3]:
        axes.set_ylabel("share of targets reached", fontsize=9)
    figure.suptitle(
        f"BBOB, D = {n}: {len(TARGETS)} targets from 1e2 to 1e-8, {figures['instances']} instances, IPOP", fontsize=11
    )
    path = _measure.RESULTS / f"bbob-{n}.png"
    figure.savefig(path, dpi=130)
    return path
