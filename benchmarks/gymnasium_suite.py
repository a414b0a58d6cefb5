"""Tasks of gymnasium that tutorials train on, each for a stated time on two cores: how far `jaxes train` gets.

python benchmarks/gymnasium_suite.py [--env LunarLander-v3 ...]; writes benchmarks/results/gymnasium_suite.json after
every run, and a reward plot of each. A run that has a result is not repeated unless asked `--again`. After training,
the policy plays 100 episodes (of Pong 16) of other seeds; that mean counts. BipedalWalker is trained on EnvPool's
version, which is several times faster, and judged on gymnasium's.
"""

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import _measure
import _training
import jax
import numpy as np

import jaxes
from jaxes import rl


class Task(NamedTuple):
    """What is trained how."""

    env: str
    settings: str  # of `jaxes train`
    seconds: int
    score: float | None = None  # to reach; None where the budget allows no known one
    judged: str | None = None  # the environment that is played after training, if another one
    solved: float | None = None  # training stops at this evaluation; the score by default
    episodes: int = 100  # that are played after training
    every: int = 10  # generations between two evaluations


VECTOR = "--sigma 0.02 --learning-rate 0.01 --weight-decay 0.005 --decay l2 --initialization normc --hidden 64 64"
# Salimans et al. 2017: the network of A3C, virtual batch normalization, the best-scored action.
ATARI = "--network cnn:a3c --virtual-batch-norm --noise low_rank --sigma 0.02 --learning-rate 0.01"
ATARI += " --population-size 40 --lanes 20"
# A linear policy from zero, as in Mania et al. 2018: CMA-ES learns which of its 100 parameters belong together.
# A fall costs 100, more than a beginner's steps earn, so that standing still is best at first; in training it costs 5.
WALKER = "--strategy cma_es --hidden --last-scale 0 --head clip --normalize ars --clip-reward -5 5 --episodes 2"
WALKER += " --population-size 32 --sigma 0.2 --evaluation-episodes 64"
TASKS = {
    "CartPole-v1": Task("gymnasium/CartPole-v1", "--population-size 32", 120, 500.0, every=1),
    "LunarLander-v3": Task("gymnasium/LunarLander-v3", "--population-size 64", 600, 200.0, solved=240.0),
    "BipedalWalker-v3": Task(
        "envpool/BipedalWalker-v3", WALKER, 2400, 250.0, "gymnasium/BipedalWalker-v3", solved=270.0, every=10
    ),
    "Reacher-v5": Task("mujoco/Reacher-v5", f"{VECTOR} --head clip --population-size 64 --episodes 8", 300, -6.0),
    "Pusher-v5": Task("mujoco/Pusher-v5", f"{VECTOR} --head clip --population-size 64 --episodes 4", 240),
    "Humanoid-v5": Task("mujoco/Humanoid-v5", f"{VECTOR} --head clip --population-size 128", 300),
    "Pong-v5": Task("ale/Pong-v5", ATARI, 720, episodes=16, every=4),
    "HumanoidStandup-v5": Task("mujoco/HumanoidStandup-v5", f"{VECTOR} --head clip --population-size 64", 150, every=2),
}


def one(name: str, task: Task, seed: int, folder: Path, extra: list[str]) -> dict[str, Any]:
    """Train, and play the policy."""
    settings = [*task.settings.split(), "--seconds", str(task.seconds), "--evaluate-every", str(task.every)]
    settings += ["--evaluation-episodes", "8"] if task.episodes < 100 else []
    goal = task.score if task.solved is None else task.solved
    settings += [] if goal is None else ["--target", str(goal)]
    rows, wall = _training.train(task.env, seed, folder, [*settings, *extra])
    actor = jaxes.load(folder)
    env = actor.env if task.judged is None else jaxes.envs.make(task.judged)
    play = rl.evaluation(env, actor.policy, episodes=task.episodes)
    returns = np.asarray(play(actor.params, actor.normalizer, jax.random.key(10**6 + seed)).returns)
    result = _training.outcome(rows, wall, task.score)
    result["reached"] = None if task.score is None else bool(returns.mean() >= task.score)
    return {
        "played": env.name,
        "episodes": task.episodes,
        "mean": float(returns.mean()),
        "their standard deviation": float(returns.std()),
        "trained on": task.env,
        "settings": " ".join(settings),
        **result,
    }


def draw(name: str, task: Task, run: dict[str, Any]) -> None:
    """The evaluations of training over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    rows = run["rows"]
    seconds, score, spread = (
        np.array([row[what] for row in rows]) for what in ("seconds", "evaluation", "evaluation_std")
    )
    axes.plot(seconds, score, ".-", color="tab:blue", linewidth=1.8, label="mean of the held-out episodes")
    axes.fill_between(seconds, score - spread, score + spread, color="tab:blue", alpha=0.15, linewidth=0)
    if task.score is not None:
        axes.axhline(task.score, color="0.4", linestyle="--", linewidth=1, label=f"to reach: {task.score:g}")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("return of the mean's policy")
    strategy = (re.findall(r"--strategy (\S+)", task.settings) or ["open_es"])[0]
    axes.set_title(f"{task.env}: {strategy}, {rows[-1]['steps'] / 1e6:.2g}M steps", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    figure.savefig(_measure.RESULTS / f"suite-{name}.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--again", action="store_true", help="repeat runs that have a result")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("extra", nargs="*", help="settings of `jaxes train`, after --; nothing is saved then")
    args = parser.parse_args()
    runs = _measure.load("gymnasium_suite").get("runs", {})
    for name in args.env:
        if name in runs and not (args.again or args.extra):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            run = one(name, TASKS[name], args.seed, Path(scratch) / "run", args.extra)
        print(name, {key: value for key, value in run.items() if key != "rows"}, flush=True)
        if not args.extra:
            runs[name] = run
            report(runs)
    if not args.extra:
        report(runs)


def report(runs: dict[str, Any]) -> None:
    """Write the results and the pictures."""
    bounds = {}
    for name, run in runs.items():
        task = TASKS[name]
        draw(name, task, run)
        if task.score is not None:
            what = f"{name}: mean of {run['episodes']} episodes"
            bounds[what] = {"measured": run["mean"], "at_least": task.score, "reached": run["mean"] >= task.score}
    _measure.save("gymnasium_suite", {"bounds": bounds, "runs": runs})
    for what, line in bounds.items():
        print(f"{'ok  ' if line['reached'] else 'MISS'} {line['measured']:10.1f}  {what}")


if __name__ == "__main__":
    main()
