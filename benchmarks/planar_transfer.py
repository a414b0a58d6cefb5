"""Policies of the planar worlds in gymnasium's Box2D, unchanged, and one of gymnasium's in ours.

python benchmarks/planar_transfer.py [PART ...] [--seed N]; writes benchmarks/results/planar_transfer.json, where other
parts stay as they are. A part is an environment: its policy is trained by `jaxes train` as the preset has it, and then
plays 100 episodes of other seeds on both sides; those of the walker go on for their whole time. `reverse` trains in
gymnasium's walker, on CPUs, and plays in ours.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import _box2d
import _measure
import _training
import jax
import numpy as np

import jaxes
from jaxes import rl


class Pair(NamedTuple):
    """An environment of ours, the one of gymnasium that it is, and what was asked."""

    trained: str
    judged: str
    score: float | None  # in gymnasium, the mean of 100 episodes
    seconds: float | None = None  # of training; the preset's by default
    settings: tuple[str, ...] = ()


ON = ("--target", "none")  # beyond the score at which the task counts as solved
# A linear policy that CMA-ES learns: what gymnasium's slower steps allow.
LINEAR = "--strategy cma_es --hidden --last-scale 0 --head clip --normalize ars --clip-reward -5 5 --episodes 2"
LINEAR += " --population-size 32 --sigma 0.2 --target none"
PAIRS = {
    "LunarLander": Pair("jaxes/LunarLander", "LunarLander-v3", 200.0),
    "LunarLanderContinuous": Pair("jaxes/LunarLanderContinuous", "LunarLanderContinuous-v3", 200.0),
    "BipedalWalker": Pair("jaxes/BipedalWalker", "BipedalWalker-v3", 300.0, 600.0, ON),
    "BipedalWalkerHardcore": Pair("jaxes/BipedalWalkerHardcore", "BipedalWalkerHardcore-v3", None, 1800.0, ON),
    "reverse": Pair("gymnasium/BipedalWalker-v3", "jaxes/BipedalWalker", None, 900.0, tuple(LINEAR.split())),
}
EPISODES = 100


def one(name: str, seed: int, seconds: float | None, folder: Path) -> dict[str, Any]:
    """Train, and play on both sides."""
    pair = PAIRS[name]
    seconds = pair.seconds if seconds is None else seconds
    limit = [] if seconds is None else ["--seconds", str(seconds)]
    rows, wall = _training.train(pair.trained, seed, folder, [*limit, *pair.settings])
    policy = jaxes.load(folder)
    here = np.asarray(policy.evaluate(jax.random.key(10**6 + seed), EPISODES).returns)
    if name == "reverse":
        ours = jaxes.envs.make(pair.judged)
        play = rl.evaluation(ours, policy.policy, episodes=EPISODES)
        there = np.asarray(play(policy.params, policy.normalizer, jax.random.key(2 * 10**6 + seed)).returns)
    else:
        there = _box2d.score(policy, pair.judged, EPISODES, seed=10**6 + seed)
    return {
        "trained on": pair.trained,
        "seed": seed,
        "steps": rows[-1]["steps"],
        "training seconds": rows[-1]["seconds"],
        "process seconds": round(wall, 1),
        pair.trained: summary(here),
        pair.judged: summary(there),
    }


def summary(returns: np.ndarray) -> dict[str, float]:
    """What 100 episodes gave."""
    quartiles = {f"{q} %": float(np.percentile(returns, q)) for q in (5, 25, 50, 75, 95)}
    return {"mean": float(returns.mean()), "standard deviation": float(returns.std()), **quartiles}


def bounds(results: dict[str, Any]) -> _measure.Bounds:
    """What was asked of what has been measured."""
    out = _measure.Bounds()
    for name, pair in PAIRS.items():
        if name in results and pair.score is not None:
            mean = results[name][pair.judged]["mean"]
            out.at_least(f"{pair.trained}: mean of 100 episodes in gymnasium's {pair.judged}", mean, pair.score)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PAIRS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="of training; by default what the part has")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PAIRS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PAIRS)}")
    results = {name: row for name, row in _measure.load("planar_transfer").items() if name in PAIRS}
    for name in args.parts or PAIRS:
        with tempfile.TemporaryDirectory() as scratch:
            results[name] = one(name, args.seed, args.seconds, Path(scratch) / "run")
        print(name, results[name], flush=True)
        _measure.save("planar_transfer", {"bounds": bounds(results), **results})


if __name__ == "__main__":
    main()
