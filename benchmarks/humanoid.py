"""Brax humanoid to a return of 6000. Wants an accelerator; there is no result yet.

python benchmarks/humanoid.py [--seconds 500] [--out FOLDER]: trains for that many seconds of jaxes's own clock, then
stops; called again, it goes on from the checkpoint, until the return is reached. Everything of a piece beside its
seconds (imports, making the environment, the last generation) is half a minute. Writes benchmarks/results/humanoid.json
and a picture: the score against seconds of all pieces, the compiling of each included.

Every other argument is one of `jaxes train`, for the first piece: --population-size 8192, --hidden 64 64, ...; the
settings without any are those published for the 3D humanoid (OpenAI's code of 2017: sigma 0.02, Adam at 0.01, an L2
term of 0.005, 256-256 tanh; Mania et al. 2018: 5 off every reward), a population of 4096 on 2048 refilled lanes.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import _measure
import _racing
import tyro

from jaxes import training
from jaxes.training import Config, metrics
from jaxes.training.config import complete, resumed

SETTINGS = Config(
    env="brax/humanoid",
    population_size=4096,
    sigma=0.02,
    learning_rate=0.01,
    weight_decay=0.005,
    decay="l2",
    hidden=(256, 256),
    shift=5.0,
    normalize="on",
    lanes=2048,
    evaluate_every=10,
    evaluation_episodes=64,
    target=6000.0,
)
SMALL = dataclasses.replace(SETTINGS, population_size=8, hidden=(4,), lanes=4, max_steps=8, evaluation_episodes=2)


def one_piece(folder: Path, config: Config, **limits: Any) -> None:
    """Begin the run, or go on with it, until a limit of this piece or the target; totals over all pieces."""
    limits["target"] = config.target
    held = folder / "checkpoints"
    if held.is_dir() and any(path.name.isdigit() for path in held.iterdir()):
        reports = training.resume(folder, progress=False, **limits)
    else:
        reports = training.train(resumed(complete(config), limits), folder, progress=False)
    for report in reports:
        if report.evaluation is not None:
            row = report.metrics
            print(f"{row['seconds']:8.1f} s, generation {row['generation']}: {row['evaluation']:.1f}", flush=True)


def curve(folder: Path) -> dict[str, Any]:
    """The run as `Track.figures` has one; it has compiled when the first generation begins."""
    rows = metrics.read(folder)
    names = ("seconds", "generation", "steps", "evaluation", "evaluation_std", "episode_length", "utilization")
    kept = [{name: row[name] for name in names} for row in rows if row["evaluation"] is not None]
    return {"compile_s": rows[0]["seconds"] - rows[0]["steps"] / rows[0]["steps_per_second"], "rows": kept}


def save(folder: Path, config: Config, pieces: list[float]) -> None:
    """Write the results and the picture; `pieces`: seconds of each by the wall's clock, without the imports."""
    run = curve(folder)
    reached = [row["seconds"] for row in run["rows"] if row["evaluation"] >= config.target]
    figures = {"target": config.target, "seconds_to_target": reached[0] if reached else None}
    settings = {name: value for name, value in dataclasses.asdict(config).items() if value is not None}
    print(_measure.save("humanoid", {**figures, "piece_seconds": pieces, "settings": settings, "run": run}), figures)
    path = _measure.RESULTS / "humanoid.png"
    _racing.draw({config.env: {"jaxes": [run]}}, path, f"population {config.population_size}", config.target)


def quick() -> None:
    """Two generations, and one more after resuming, of a tiny run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        for generations in (2, 3):
            one_piece(folder, SMALL, generations=generations)
        run = curve(folder)
        assert [row["generation"] for row in run["rows"]] == [2, 3], run
        _racing.draw({SMALL.env: {"jaxes": [run]}}, Path(scratch) / "humanoid.png", "quick", SMALL.target)
    print("ok")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=500.0, help="of this piece")
    parser.add_argument("--out", type=Path, default=Path("runs/humanoid-to-6000"), help="the run's folder")
    parser.add_argument("--quick", action="store_true", help="check the script: three generations of a tiny run")
    parser.add_argument("--cpu", action="store_true", help="run it on a CPU all the same")
    args, others = parser.parse_known_args()
    if args.quick:
        return quick()
    if not args.cpu and _racing.wants_accelerator("humanoid"):
        return None
    _racing.without_cache()
    began = time.perf_counter()
    path = args.out / "config.json"
    if path.is_file():
        if others:
            parser.error(f"the run in {args.out} keeps its settings; got {' '.join(others)}")
        config = training.config.load(path)
    else:
        config = tyro.cli(Config, default=SETTINGS, args=others)
    rows = metrics.read(args.out) if path.is_file() else []
    pieces = _measure.load("humanoid").get("piece_seconds", []) if rows else []
    if any(row["evaluation"] is not None and row["evaluation"] >= config.target for row in rows):
        print(f"{args.out} has reached {config.target}")
        return None
    try:
        one_piece(args.out, config, seconds=args.seconds + (rows[-1]["seconds"] if rows else 0))
    finally:
        save(args.out, config, [*pieces, round(time.perf_counter() - began, 1)])


if __name__ == "__main__":
    main()
