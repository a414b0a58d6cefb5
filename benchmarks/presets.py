"""What each preset of `jaxes train` reaches, and the table of it in docs/presets.md.

python benchmarks/presets.py [NAME ...] [--again] [--table]; plays every environment that is named, or with `--untried
SUITE` those of a suite that have no result yet, one after the other, and writes benchmarks/results/presets.json after
each. A run is `jaxes train NAME` as it stands, on the cores that the process may use; the score is the mean of 64
episodes of other seeds. `--table` only writes docs/presets.md from the results.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import _measure
import jax
import numpy as np

from jaxes import envs, training
from jaxes.training import presets

DOCUMENT = Path(__file__).parents[1] / "docs" / "presets.md"
EPISODES = 64
HELD_OUT = 1_000_003


def one(name: str) -> dict[str, Any]:
    """Train with the preset, and play the policy."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        report = list(training.train(training.Config(name), Path(folder) / "run", progress=False))[-1]
        wall = time.perf_counter() - began
        policy = training.load(Path(folder) / "run")
        returns = np.asarray(policy.evaluate(jax.random.key(HELD_OUT), EPISODES).returns)
    return {
        "settings": _plain(presets.PRESETS[name]),
        "score": float(returns.mean()),
        "deviation": float(returns.std()),
        "seconds": round(wall, 1),
        "steps": report.metrics["steps"],
        "ended by": report.stopped,
        "cores": len(os.sched_getaffinity(0)),
    }


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(settings))


def rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """A row of the table for each environment that a suite with presets lists."""
    suites = {name.partition("/")[0] for name in (*presets.PRESETS, *presets.WITHOUT)}
    out = []
    for listed in envs.listing():
        suite = listed.name.partition("/")[0]
        if suite not in suites:
            continue
        preset = presets.PRESETS.get(listed.name)
        row: dict[str, Any] = {"environment": listed.name, "settings": preset, "why": presets.WITHOUT.get(listed.name)}
        result = results.get(listed.name)
        if preset is not None and result is not None and result["settings"] == _plain(preset):
            row |= {
                "score": result["score"],
                "deviation": result["deviation"],
                "seconds": result["seconds"],
                "cores": result["cores"],
            }
        out.append(row)
    return out


HEAD = """# Presets

Settings with which `jaxes train NAME` trains where nothing else is given (`jaxes/training/presets.py`), and what they
gave: the mean ± standard deviation over 64 episodes of other seeds, after so many seconds with compiling included.
Every run had one core (or as many as are named), with low priority, of a machine that did other work too
(`benchmarks/results/presets.json`).

A target ends a run; it is the score at which gymnasium's registry calls the task solved, or one that was reached. With
`--target none` a run goes on for its seconds. Presets that are "untried" are
guesses from their neighbors. What is not in the column of settings is the default: {default}.

Made by `python benchmarks/presets.py --table`.
"""
COLUMNS = "| environment | settings | target | score | seconds |\n|---|---|---|---|---|"


def table(results: dict[str, Any]) -> str:
    """docs/presets.md"""
    lines = [HEAD.format(default=_spelled(presets.DEFAULT))]
    suite = None
    for row in rows(results):
        now = row["environment"].partition("/")[0]
        if now != suite:
            lines += ["", f"## {now}", "", COLUMNS]
            suite = now
        if row["settings"] is None:
            lines.append(f"| `{row['environment']}` | none: {row['why']} |  |  |  |")
            continue
        target = row["settings"].get("target")
        score = f"{row['score']:,.1f} ± {row['deviation']:,.1f}" if "score" in row else "untried"
        seconds = f"{row['seconds']:.0f}" if "score" in row else ""
        if row.get("cores", 1) > 1:
            seconds += f", {row['cores']} cores"
        if "score" in row and target is not None and row["score"] < target:
            score += ", missed"
        settings = _spelled({name: value for name, value in row["settings"].items() if name != "target"})
        wanted = "" if target is None else f"{target:,g}"
        lines.append(f"| `{row['environment']}` | {settings} | {wanted} | {score} | {seconds} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _spelled(settings: dict[str, Any]) -> str:
    text = lambda value: " ".join(map(str, value)) or "none" if isinstance(value, tuple) else f"{value}"
    return ", ".join(f"{name} {text(value)}" for name, value in settings.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--untried", metavar="SUITE", help="those of a suite that have no result")
    parser.add_argument("--again", action="store_true", help="also where there is a result already")
    parser.add_argument("--table", action="store_true", help="only write docs/presets.md")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    figures = _measure.load("presets").get("figures", {})
    names = list(args.names)
    if args.untried:
        names += [row["environment"] for row in rows(figures) if row["environment"].startswith(f"{args.untried}/")]
    for name in [] if args.table else names:
        known = figures.get(name, {}).get("settings") == _plain(presets.PRESETS.get(name, {}))
        if name not in presets.PRESETS or (known and not args.again):
            continue
        figures[name] = one(name)
        print(name, figures[name], flush=True)
        _measure.save("presets", {"episodes": EPISODES, "figures": dict(sorted(figures.items()))})
    DOCUMENT.write_text(table(figures))


if __name__ == "__main__":
    main()
