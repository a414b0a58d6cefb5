"""Learning curves beside evosax's Open_ES on its BraxProblem: the same environments, populations, networks, steps.

python benchmarks/curves.py [--seeds 2]; writes benchmarks/results/curves.json after every run, and curves.png. A run
that has a result is not repeated unless asked `--again`, and `--seeds 0` only draws. Each run has a process of its own,
without a compilation cache, and takes one or two minutes of two cores.

- *jaxes*: `open_es` with what `jaxes train` has by default (sigma, rate, seeds, normalizer, episodes of 1000 steps).
- *evosax*: the settings of its own notebook on Brax (examples/02_rl): Adam at 0.01 falling to a tenth and sigma 0.05
  falling to a fifth during the run, episodes of 1000 steps, normalized observations; but one episode a member, the
  default of its problem, instead of 16, of which this budget would not pay for two generations.
- *evosax, numbers of jaxes*: the same with the sigma and the rate of the first, and shorter episodes where its budget
  would pay for few generations.

All start from the same parameters. evosax has a budget of simulated steps, those after an episode's end included, over
which its rate and sigma fall; jaxes, which takes those in some seconds, trains for about as long as evosax does. The
score is the mean return of full episodes of the mean's policy without noise, played by one evaluator while the clock
stands.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import _measure
import _racing
import numpy as np
from _racing import Task, Track

from jaxes.training.limits import Limits
from jaxes.training.presets import DEFAULT, PRESETS


class Budget(NamedTuple):
    steps: int  # simulated, of evosax
    episode_length: int  # of evosax with the numbers of jaxes, in training


BUDGETS = {
    "brax/hopper": Budget(2_000_000, 1000),
    "brax/halfcheetah": Budget(400_000, 200),
    "brax/ant": Budget(800_000, 200),
}
SAME = "evosax, numbers of jaxes"
SIDES = {"jaxes": _racing.jaxes_side, "evosax": _racing.evosax_side, SAME: _racing.evosax_side}
ROLLOUT = ("seeds", "normalize")  # settings of `jaxes.rl.rollout` that presets have
EPISODES = 16  # of an evaluation
EVERY = 5.0  # seconds between two
SECONDS = 60.0  # of jaxes


def task(env: str, side: str, seed: int) -> Task:
    """The settings of a run."""
    steps, length = BUDGETS[env]
    size = DEFAULT["population_size"]
    given = Task(env, DEFAULT["hidden"], size, DEFAULT["sigma"], DEFAULT["learning_rate"], seed=seed)
    if side == "jaxes":
        preset = {**DEFAULT, **PRESETS.get(env, {})}
        return dataclasses.replace(given, rollout={name: preset[name] for name in ROLLOUT if name in preset})
    if side == SAME:
        return dataclasses.replace(given, episode_length=length)
    generations = -(-steps // (size * 1000))
    return dataclasses.replace(given, sigma=0.05, learning_rate=0.01, falling=generations)


def piece(env: str, side: str, seed: int) -> dict[str, Any]:
    """One run."""
    settings = task(env, side, seed)
    limits = Limits(seconds=SECONDS) if side == "jaxes" else Limits(steps=BUDGETS[env].steps)
    track = Track(_racing.evaluator(settings, EPISODES), limits, EVERY)
    SIDES[side](settings, track)
    return {"task": dataclasses.asdict(settings), **track.figures()}


def in_a_process(env: str, side: str, seed: int) -> dict[str, Any]:
    """The same in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "piece.json"
        command = [sys.executable, __file__, "--env", env, "--side", side, "--seed", str(seed), "--piece", str(out)]
        subprocess.run(command, check=True)
        return json.loads(out.read_text())


def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean scores over seeds at equal seconds: when the first run ends, and the share of 50 times until then."""
    out: dict[str, Any] = {}
    for clock in ("seconds", "cpu_seconds"):
        first = min(run["rows"][0][clock] for run in ours + theirs)
        last = min(run["rows"][-1][clock] for run in ours + theirs)
        score = lambda runs, t, clock=clock: float(np.mean([_racing.score_at(run["rows"], t, clock) for run in runs]))
        ahead = np.mean([score(ours, t) > score(theirs, t) for t in np.linspace(first, last, 50)])
        out[clock] = {"at": last, "jaxes": score(ours, last), "other": score(theirs, last), "ahead": float(ahead)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--env", choices=BUDGETS, nargs="+", default=list(BUDGETS))
    parser.add_argument("--side", choices=SIDES, nargs="+", default=list(SIDES))
    parser.add_argument("--again", action="store_true", help="repeat runs that have a result")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--piece", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.piece:
        _racing.without_cache()
        args.piece.write_text(json.dumps(piece(args.env[0], args.side[0], args.seed)))
        return
    kept = _measure.load("curves").get("runs", {})
    for seed, env, side in itertools.product(range(args.seeds), args.env, args.side):
        runs = kept.setdefault(env, {}).setdefault(side, {})
        if str(seed) in runs and not args.again:
            continue
        print(f"{env}, {side}, seed {seed}", flush=True)
        runs[str(seed)] = in_a_process(env, side, seed)
        report(kept)
    report(kept)


def report(kept: dict[str, Any]) -> None:
    """Write the results and the picture."""
    panels = {
        env: {side: list(sides[side].values()) for side in SIDES if sides.get(side)}
        for env, sides in kept.items()
        if sides.get("jaxes")
    }
    figures = {
        env: {side: compare(sides["jaxes"], runs) for side, runs in sides.items() if side != "jaxes"}
        for env, sides in panels.items()
    }
    bounds = {}
    for env, others in figures.items():
        for side, figure in others.items():
            at = figure["seconds"]
            gain = at["jaxes"] - at["other"]
            name = f"{env} after {at['at']:.0f} s: score of jaxes - that of {side}"
            bounds[name] = {"measured": gain, "at_least": 0.0, "reached": gain > 0}
    what = f"population {DEFAULT['population_size']}, tanh {DEFAULT['hidden']}, spring"
    _measure.save("curves", {"what": what, "bounds": bounds, "figures": figures, "runs": kept})
    for name, row in bounds.items():
        print(f"{'ok  ' if row['reached'] else 'MISS'} {row['measured']:8.1f}  {name}")
    if panels:
        path = _measure.RESULTS / "curves.png"
        _racing.draw(panels, path, f"Brax, {what}; compiling included, one line a seed")


if __name__ == "__main__":
    main()
