"""What looks at runs: `jaxes evaluate`, `jaxes plot` and `jaxes render`."""

import os
import sys
from pathlib import Path

import jax
import numpy as np

from jaxes import training
from jaxes.cli.arguments import Evaluate, Plot, Render
from jaxes.support import checks
from jaxes.training import about, config, plots, sweeping, video


def evaluate(args: Evaluate) -> int:
    checks.count("episodes", args.episodes)
    key = jax.random.key(config.seed(args.seed))
    policy = training.load(args.run)
    print(f"{policy.env.name}: playing {args.episodes} episodes", file=sys.stderr)
    out = jax.device_get(policy.evaluate(key, args.episodes))
    score = out.returns
    spread = f"median {np.median(score):.1f}, {score.min():.1f} to {score.max():.1f}"
    print(f"score    {np.mean(score):.1f} ± {np.std(score):.1f} (std of the episodes), {spread}")
    print(
        f"length   {np.mean(out.lengths):.0f} of {policy.env.max_steps} steps, {np.mean(out.truncated):.0%} to the end"
    )
    return 0


def plot(args: Plot) -> int:
    if args.x is not None:
        checks.one_of("x", args.x, plots.AXES)
    if not args.runs:
        raise ValueError("plot needs folders of runs, such as runs/*")
    folders = list({run.resolve(): run for run in args.runs}.values())  # each once
    sweeps = [run for run in folders if (run / sweeping.NAME).exists()]
    searches = [run for run in folders if (run / "history.json").exists()]
    runs = [run for run in folders if (run / "metrics.jsonl").exists()]
    if not (searches or runs or sweeps):
        names = ", ".join(map(str, args.runs[:3])) + (" ..." if len(args.runs) > 3 else "")
        inside = about.runs_in(folders[0]) if len(folders) == 1 else ""
        lacks = f"no metrics.jsonl, history.json or sweep.json{inside}"
        if len(folders) == 1 and not folders[0].is_dir():
            lacks = about.absent(folders[0])
        raise FileNotFoundError(f"{names} holds no run to plot: {lacks}")
    for folder in folders:
        if folder.is_dir() and folder not in (*runs, *searches, *sweeps):
            print(f"{folder} holds no run to plot", file=sys.stderr)
    alone = len(runs) + len(searches) + len(sweeps) == 1
    if args.out is not None and not alone and len(runs) < 2:
        raise ValueError("out is the picture of one folder or of the comparison of several runs; give one folder")
    for run in searches:
        print(plots.optimization(run, args.out if alone else None))
    for folder in sweeps:
        print(sweeping.draw(folder, args.out if alone else None))
    for run in runs:
        print(plots.reward(run, args.out, args.x) if alone else plots.reward(run))
    if len(runs) > 1:
        print(plots.compare(runs, args.out or _common(runs) / "compare.png", args.x))
    return 0


def _common(runs: list[Path]) -> Path:
    """The folder that all runs are in; a relative path if theirs are."""
    common = os.path.commonpath([run.absolute().parent for run in runs])
    return Path(common if any(run.is_absolute() for run in runs) else os.path.relpath(common))


def render(args: Render) -> int:
    path = video.suffixed(args.out or args.run / "episode.gif")
    policy = training.load(args.run)
    video.drawable(policy.env, path.suffix)
    print(f"{policy.env.name}: drawing an episode", file=sys.stderr)
    print(video.write(policy, jax.random.key(args.seed), path))
    return 0
