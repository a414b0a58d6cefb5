"""What evaluating in processes costs: seconds until the first values, and microseconds of an evaluation.

python benchmarks/minimize_workers.py; writes benchmarks/results/minimize_workers.json. Two processes of
`minimize_function(workers=2)` beside two of Python's own `ProcessPoolExecutor`, once forked (which copies this process,
with JAX in it, and may hang it) and once spawned (which runs the script again in each).
"""

import concurrent.futures
import multiprocessing
import os
import statistics
import time
import warnings
from typing import Any

import _measure
import numpy as np

from jaxes.search.values.workers import Workers

ROUNDS = 9
MEMBERS = [np.full(10, float(i)) for i in range(2000)]


def sphere(x: np.ndarray) -> float:
    return float(x @ x)


def ours() -> tuple[float, float, float]:
    """Seconds until the first values, of an evaluation, and of the end."""
    began = time.perf_counter()
    with Workers(sphere, 2) as workers:
        list(workers.evaluate(MEMBERS[:2]))
        started = time.perf_counter()
        values = dict(workers.evaluate(MEMBERS))
        evaluated = time.perf_counter()
    assert values[1] == 10
    return started - began, (evaluated - started) / len(MEMBERS), time.perf_counter() - evaluated


def theirs(method: str) -> tuple[float, float, float]:
    began = time.perf_counter()
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        list(pool.map(sphere, MEMBERS[:2]))
        started = time.perf_counter()
        values = list(pool.map(sphere, MEMBERS))
        evaluated = time.perf_counter()
    assert values[1] == 10
    return started - began, (evaluated - started) / len(MEMBERS), time.perf_counter() - evaluated


def main() -> None:
    warnings.simplefilter("ignore")  # of forking a process with threads
    sides = {"jaxes": ours, "forked": lambda: theirs("fork"), "spawned": lambda: theirs("spawn")}
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for turn in range(ROUNDS):
        for name in list(sides)[turn % 3 :] + list(sides)[: turn % 3]:
            taken[name].append(sides[name]())
    figures: dict[str, Any] = {"rounds": ROUNDS, "processes": 2}
    for name, rows in taken.items():
        start, each, end = (list(column) for column in zip(*rows, strict=True))
        figures[name] = {
            "seconds until the first values": {"min": min(start), "median": statistics.median(start)},
            "microseconds of an evaluation": {"min": 1e6 * min(each), "median": 1e6 * statistics.median(each)},
            "seconds until all have ended": {"min": min(end), "median": statistics.median(end)},
        }
        print(name, figures[name])
    print(_measure.save("minimize_workers", figures))


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    main()
