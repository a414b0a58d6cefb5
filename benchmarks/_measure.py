"""Timing that stands on a shared machine: variants interleaved in one process, minimum and median of many."""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).parent / "results"


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int = 15, warm_up: int = 2) -> dict[str, dict[str, float]]:
    """Seconds of each call, taken in turns so that a noisy neighbor meets all of them alike.

    Returns:
        For each name `min`, `median`, and `ratio`: the median over rounds of its time / the first one's in that round.
    """
    for call in calls.values():
        for _ in range(warm_up):
            jax.block_until_ready(call())
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            jax.block_until_ready(calls[name]())
            taken[name].append(time.perf_counter() - start)
    return summary(taken)


def summary(taken: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Minimum, median and ratio, as in `interleaved`, of the seconds of some rounds."""
    first = next(iter(taken.values()))
    return {
        name: {
            "min": min(times),
            "median": statistics.median(times),
            "ratio": statistics.median(t / f for t, f in zip(times, first, strict=True)),
        }
        for name, times in taken.items()
    }


class Bounds(dict[str, dict[str, Any]]):
    """What was asked of figures, and whether it was reached."""

    def at_least(self, name: str, measured: float, bound: float) -> None:
        """The larger the better."""
        self[name] = {"measured": measured, "at_least": bound, "reached": measured >= bound}

    def at_most(self, name: str, measured: float, bound: float) -> None:
        """The smaller the better."""
        self[name] = {"measured": measured, "at_most": bound, "reached": measured <= bound}


def compiled(fn: Callable, *args: Any) -> tuple[Any, float, int]:
    """The compiled program of `fn(*args)`, seconds it took to compile, bytes of temporary memory it needs."""
    lowered = jax.jit(fn).lower(*args)
    start = time.perf_counter()
    program = lowered.compile()
    return program, time.perf_counter() - start, program.memory_analysis().temp_size_in_bytes


def machine() -> dict[str, Any]:
    """Versions and hardware that figures belong to."""
    version = importlib.metadata.version
    model = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("jax", "jaxlib", "numpy", "optax")},
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d"),
    }


def save(name: str, figures: dict[str, Any]) -> pathlib.Path:
    """Write the figures with the machine beside them to `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
    return path


def load(name: str) -> dict[str, Any]:
    """What `save` has written, empty if nothing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}
