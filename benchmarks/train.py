"""How long `jaxes train` takes to a score, from a cold start: imports, compiling and evaluation included.

python benchmarks/train.py [--seeds N] [--env NAME] [--on]; writes benchmarks/results/train.json and a plot of each
environment's runs, after each environment. A run ends where the score is reached, confirmed on 64 fresh episodes. With
`--on`, one run of each environment instead that goes on to its limit, to see how far they carry. Runs alone on the
machine or the seconds mean little.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import _measure
import _training
import jax
import numpy as np

import jaxes


class Asked(NamedTuple):
    score: float  # to reach
    seconds: float  # of training at most, the median of the seeds
    seeds: int
    limit: float = 180.0  # the most seconds that a run takes


BOUNDS = {
    "brax/inverted_pendulum": Asked(950, 12, 5),
    "brax/hopper": Asked(1800, 60, 5),
    "brax/halfcheetah": Asked(2000, 180, 3),
    "brax/walker2d": Asked(1000, 180, 3),
    "jaxes/LunarLander": Asked(200, 60, 5),
    "jaxes/BipedalWalker": Asked(300, 600, 5, 900),
}
EPISODES = 100  # held-out, of other keys than those of the evaluations that stopped the run


def one(env: str, seed: int, score: float | None, folder: Path) -> dict:
    """Train in a process of its own with an empty compilation cache, then play the policy it left."""
    settings = ["--target", "none" if score is None else str(score), "--seconds", str(BOUNDS[env].limit)]
    rows, wall = _training.train(env, seed, folder, settings)
    returns = np.asarray(jaxes.load(folder).evaluate(jax.random.key(10**6 + seed), EPISODES).returns)
    last = rows[-1]
    confirmed = last["confirmation"]  # on 64 fresh episodes, where the evaluation had reached the score
    return {
        "seed": seed,
        "reached": None if score is None else confirmed is not None and confirmed >= score,
        "evaluation": last["evaluation"],
        "confirmation": confirmed,
        "held_out_mean": float(returns.mean()),
        "held_out_std": float(returns.std()),
        "training_seconds": last["seconds"],
        "process_seconds": round(wall, 2),
        "generations": last["generation"],
        "steps": last["steps"],
        "steps_per_second": statistics.median(row["steps_per_second"] for row in rows[1:] or rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, help="by default as many as were asked for")
    parser.add_argument("--env", choices=BOUNDS, action="append")
    parser.add_argument("--on", action="store_true", help="one run that goes on")
    args = parser.parse_args()
    figures = {name: row for name, row in _measure.load("train").items() if name in BOUNDS}
    for env in args.env or BOUNDS:
        asked = BOUNDS[env]
        with tempfile.TemporaryDirectory() as scratch:
            folders = [Path(scratch) / f"seed {seed}" for seed in range(args.seeds or asked.seeds)]
            if args.on:
                figures[env]["going on"] = one(env, 0, None, folders[0])
            else:
                runs = [one(env, seed, asked.score, folder) for seed, folder in enumerate(folders)]
                picture = _measure.RESULTS / f"train-{env.replace('/', '-')}.png"
                jaxes.plots.compare(folders, picture, x="seconds")
                figures[env] = {key: value for key, value in figures.get(env, {}).items() if key == "going on"} | {
                    "bound": {"evaluation": asked.score, "training_seconds": asked.seconds},
                    "reached": sum(run["reached"] for run in runs),
                    "median_training_seconds": statistics.median(run["training_seconds"] for run in runs),
                    "runs": runs,
                }
        print(env, figures[env], flush=True)
        _measure.save("train", figures)


if __name__ == "__main__":
    main()
