"""Runs of `jaxes train` in a process of their own, from a cold start, and what is read off them."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jaxes.training import metrics


def train(env: str, seed: int, folder: Path, settings: list[str]) -> tuple[list[dict[str, Any]], float]:
    """Train with an empty compilation cache.

    Returns:
        The rows of metrics.jsonl, and the seconds of the whole process.
    """
    command = [sys.executable, "-m", "jaxes.cli", "train", env, "--seed", str(seed), "--out", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    began = time.perf_counter()
    subprocess.run([*command, "--no-video", *settings], check=True, env=environment)
    return metrics.read(folder), time.perf_counter() - began


def outcome(rows: list[dict[str, Any]], wall: float, score: float | None) -> dict[str, Any]:
    """The best evaluation of a run, when it was, and all of them, for a JSON file."""
    rows = [line for line in rows if line["evaluation"] is not None]
    kept = ("generation", "steps", "seconds", "evaluation", "evaluation_std")
    best = max(rows, key=lambda line: line["evaluation"])
    return {
        "reached": None if score is None else best["evaluation"] >= score,
        "best": best["evaluation"],
        "steps": best["steps"],
        "seconds": best["seconds"],
        "process_seconds": round(wall, 2),
        "rows": [{name: line[name] for name in kept} for line in rows],
    }
