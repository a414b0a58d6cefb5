"""How long `jaxes train` takes to a score, from a cold start: imports, compiling and evaluation included.

python benchmarks/train.py [--seeds 3]; writes benchmarks/results/train.json and a plot of each environment's runs.
Runs alone on the machine or the seconds mean little.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import _measure
import _training
import jax
import numpy as np

import jaxes

# environment: (score to reach, seconds of training at most)
BOUNDS = {"brax/inverted_pendulum": (950, 60), "brax/hopper": (1800, 240)}
EPISODES = 64  # held-out, of other keys than those of the evaluations that stopped the run


def one(env: str, seed: int, score: float, limit: float, folder: Path) -> dict:
    """Train in a process of its own with an empty compilation cache, then play the policy it left."""
    settings = ["--target", str(score), "--seconds", str(limit)]
    rows, wall = _training.train(env, seed, folder, settings)
    returns = np.asarray(jaxes.load(folder).evaluate(jax.random.key(10**6 + seed), EPISODES).returns)
    last = rows[-1]
    return {
        "seed": seed,
        "reached": last["evaluation"] >= score,
        "evaluation": last["evaluation"],
        "held_out_mean": float(returns.mean()),
        "held_out_std": float(returns.std()),
        "training_seconds": last["seconds"],
        "process_seconds": round(wall, 2),
        "generations": last["generation"],
        "steps": last["steps"],
        "steps_per_second": statistics.median(row["steps_per_second"] for row in rows[1:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--env", choices=BOUNDS, action="append")
    args = parser.parse_args()
    figures = {name: row for name, row in _measure.load("train").items() if name in BOUNDS}
    for env in args.env or BOUNDS:
        score, limit = BOUNDS[env]
        with tempfile.TemporaryDirectory() as scratch:
            folders = [Path(scratch) / f"seed {seed}" for seed in range(args.seeds)]
            runs = [one(env, seed, score, limit, folder) for seed, folder in enumerate(folders)]
            picture = _measure.RESULTS / f"train-{env.replace('/', '-')}.png"
            jaxes.plots.compare(folders, picture, x="seconds")
        figures[env] = {
            "bound": {"evaluation": score, "training_seconds": limit},
            "reached": sum(run["reached"] for run in runs),
            "median_training_seconds": statistics.median(run["training_seconds"] for run in runs),
            "runs": runs,
        }
        print(env, figures[env])
    print(_measure.save("train", figures))


if __name__ == "__main__":
    main()
