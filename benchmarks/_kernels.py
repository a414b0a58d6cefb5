"""Which kernels a program runs on a card, how often, and how long they take."""

import collections
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def profile(call: Callable[[], Any]) -> list[tuple[str, int, float]]:
    """Names, counts and microseconds in all of what runs on the card during a call, the longest first."""
    jax.block_until_ready(call())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(call())
        path = next(Path(folder).rglob("*.xplane.pb"))
        data = jax.profiler.ProfileData.from_file(str(path))
        taken: dict[str, list[float]] = collections.defaultdict(list)
        for plane in data.planes:
            if plane.name.startswith("/device:GPU"):
                for line in plane.lines:
                    if line.name.startswith("Stream"):
                        for event in line.events:
                            taken[event.name].append(event.duration_ns / 1e3)
    rows = [(name, len(times), sum(times)) for name, times in taken.items()]
    return sorted(rows, key=lambda row: -row[2])


def show(rows: list[tuple[str, int, float]], most: int = 25) -> None:
    """Print them."""
    print(f"{sum(n for _, n, _ in rows)} kernels, {sum(t for *_, t in rows) / 1e3:.3f} ms")
    for name, count, total in rows[:most]:
        print(f"{count:7d} x {total / count:9.2f} us = {total / 1e3:9.3f} ms  {name[:110]}")
