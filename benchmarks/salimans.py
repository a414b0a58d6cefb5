"""Salimans et al. 2017, Table 3: evolution strategies on MuJoCo, to the scores and within the steps of the paper.

python benchmarks/salimans.py [--seeds 6] [--env Swimmer-v5 ...]; writes benchmarks/results/salimans.json after every
run, and a reward plot of each environment. A run that has a result is not repeated unless asked `--again`, and
`--seeds 0` only draws. Each run is a `jaxes train` in a process of its own, without a compilation cache.

The network is the paper's (64-64 tanh; 10 bins for the actions of Hopper and Swimmer). The paper names no other
settings: sigma, rate, weight decay, initialization, normalizer and noise are those of OpenAI's code
(openai/evolution-strategies-starter: configurations/humanoid.json, es.py, policies.py), population sizes ours. The
environments are version 5 on MuJoCo of today: the same tasks, not the same simulator. Steps of evaluation are counted
apart.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import _measure
import _training
import numpy as np


class Row(NamedTuple):
    """One of Table 3."""

    score: float  # 100 % of TRPO's after 5 million steps
    steps: int  # that the paper's ES needed for it
    seconds: float  # at most, on two cores
    population_size: int
    every: int  # generations between two evaluations
    head: str = "clip"
    demanded: bool = True


TABLE = {
    "InvertedPendulum-v5": Row(1000.0, 455_000, 20.0, 64, 2),
    "Swimmer-v5": Row(128.25, 1_390_000, 120.0, 40, 2, "bins:10"),
    "HalfCheetah-v5": Row(2385.79, 2_880_000, 180.0, 80, 3),
    "InvertedDoublePendulum-v5": Row(9104.07, 5_390_000, 360.0, 120, 4),
    "Hopper-v5": Row(3403.46, 31_600_000, 2400.0, 240, 10, "bins:10", demanded=False),
    "Walker2d-v5": Row(3830.03, 37_900_000, 3600.0, 240, 10, demanded=False),
}
SETTINGS = ["--hidden", "64", "64", "--initialization", "normc", "--sigma", "0.02", "--learning-rate", "0.01"]
SETTINGS += ["--weight-decay", "0.005", "--decay", "l2", "--action-noise", "0.01", "--normalize", "on"]


def one(env: str, seed: int, folder: Path, extra: list[str], seconds: float) -> dict[str, Any]:
    """Train once, to the score, to the paper's steps, or for so many seconds."""
    row = TABLE[env]
    settings = [*SETTINGS, "--head", row.head, "--population-size", str(row.population_size)]
    settings += ["--evaluate-every", str(row.every), "--evaluation-episodes", "32"]
    limits = {"--target": row.score, "--steps": row.steps, "--seconds": min(seconds, row.seconds)}
    settings += [str(word) for limit in limits.items() for word in limit] + extra
    rows, wall = _training.train(f"mujoco/{env}", seed, folder, settings)
    return _training.outcome(rows, wall, row.score)


def mean_curve(runs: list[dict[str, Any]], steps: np.ndarray) -> np.ndarray:
    """The mean over seeds of the latest evaluation by each number of steps; a run that reached the score keeps it."""
    latest = lambda rows, at: [line["evaluation"] for line in rows if line["steps"] <= at] or [rows[0]["evaluation"]]
    return np.array([np.mean([latest(run["rows"], at)[-1] for run in runs]) for at in steps])


def report(kept: dict[str, dict[str, Any]]) -> None:
    """Write the results and the pictures."""
    figures, bounds = {}, {}
    for env, by_seed in kept.items():
        row, runs = TABLE[env], list(by_seed.values())
        grid = np.linspace(0, row.steps, 400)
        curve = mean_curve(runs, grid)
        there = np.nonzero(curve >= row.score)[0]
        figures[env] = {
            "score of the paper": row.score,
            "steps of the paper": row.steps,
            "seeds": len(runs),
            "seeds that reach it": sum(run["reached"] for run in runs),
            "mean of the seeds at the end": float(curve[-1]),
            "steps at which the mean reaches it": int(grid[there[0]]) if len(there) else None,
            "median seconds": float(np.median([run["seconds"] for run in runs])),
            "longest process": max(run["process_seconds"] for run in runs),
        }
        if row.demanded:
            name = f"{env}: mean of {len(runs)} seeds by {row.steps / 1e6:.3g}M steps"
            bounds[name] = {"measured": float(curve[-1]), "at_least": row.score, "reached": bool(len(there))}
            name = f"{env}: seconds of the longest run"
            longest = max(run["seconds"] for run in runs)
            bounds[name] = {"measured": longest, "at_most": row.seconds, "reached": longest <= row.seconds}
        draw(env, row, runs)
    _measure.save("salimans", {"bounds": bounds, "figures": figures, "runs": kept})
    for name, line in bounds.items():
        print(f"{'ok  ' if line['reached'] else 'MISS'} {line['measured']:10.1f}  {name}")


def draw(env: str, row: Row, runs: list[dict[str, Any]]) -> None:
    """A line a seed, their mean, and the paper's point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        x, y = ([line[what] for line in run["rows"]] for what in ("steps", "evaluation"))
        axes.plot(np.array(x) / 1e6, y, color="tab:blue", linewidth=0.9, alpha=0.6)
    last = max(run["rows"][-1]["steps"] for run in runs)
    grid = np.linspace(0, last, 200)
    axes.plot(grid / 1e6, mean_curve(runs, grid), color="tab:blue", linewidth=2.2, label=f"mean of {len(runs)} seeds")
    axes.plot(row.steps / 1e6, row.score, "k*", markersize=11, label="Salimans et al. 2017, Table 3")
    axes.set_xlabel("million environment steps (evaluation apart)")
    axes.set_ylabel("return of the mean's policy, 32 episodes")
    axes.set_title(f"{env}: open_es, 64-64 tanh, population {row.population_size}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(_measure.RESULTS / f"salimans-{env}.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--env", choices=TABLE, nargs="+", default=[env for env, row in TABLE.items() if row.demanded])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of a run at most; the rows' own otherwise")
    parser.add_argument("--again", action="store_true", help="repeat runs that have a result")
    parser.add_argument("extra", nargs="*", help="settings of `jaxes train`, after --; nothing is saved then")
    args = parser.parse_args()
    kept = _measure.load("salimans").get("runs", {})
    for env, seed in itertools.product(args.env, range(args.seeds)):
        runs = kept.setdefault(env, {})
        if str(seed) in runs and not (args.again or args.extra):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            result = one(env, seed, Path(scratch) / "run", args.extra, args.seconds)
        print(env, seed, {name: value for name, value in result.items() if name != "rows"}, flush=True)
        if not args.extra:
            runs[str(seed)] = result
            report(kept)
    if not args.extra:
        report(kept)


if __name__ == "__main__":
    main()
