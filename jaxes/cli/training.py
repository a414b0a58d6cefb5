"""`jaxes train` and `jaxes sweep`."""

import dataclasses
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxes import parallel, training
from jaxes.cli.arguments import Render, Sweep, Train, numbers
from jaxes.cli.results import render
from jaxes.parallel import Processes
from jaxes.training import Report, about, metrics, presets, sweeping
from jaxes.training.config import LIMITS, WHERE, Config, complete
from jaxes.training.interruption import Interrupted, Interruption
from jaxes.training.train import unused, usual_folder

SWEPT = ("sigma", "learning_rate", "sigma_learning_rate", "weight_decay")
PROCESSES = ("coordinator", "processes", "process_id", "heartbeat", "patience")


def train(args: Train) -> int:
    if args.resume is None:
        folder, processes, reports = _begin(args)
    else:
        folder, processes, reports = _go_on(args, args.resume)
    stop = _consume(reports)
    processes.leave()
    if not processes.first:
        return 0 if stop is None else 128 + stop
    if stop is not None:
        saved = any(path.name.isdigit() for path in (folder / "checkpoints").glob("*"))
        text = "Saved" if saved else "Stopped before the first generation"
        print(f"\n{text}. Go on with: jaxes train --resume {folder}", file=sys.stderr)
        return 128 + stop
    if args.video:
        try:
            render(Render(folder))
        except Exception as error:  # no OpenGL here: whatever its libraries raise
            print(f"no GIF: {str(error) or type(error).__name__}", file=sys.stderr)
    metrics.send_pictures(folder, (about.read(folder) or {}).get("track"))
    print(f"{folder}: reward.png, metrics.jsonl, checkpoints, policy; next: jaxes evaluate {folder}", file=sys.stderr)
    return 0


def sweep(args: Sweep) -> int:
    _check_env("sweep", args.env)
    values_of = {name: getattr(args, name) for name in SWEPT if getattr(args, name)}
    fixed = []
    for text in args.options:
        name, _, value = text.partition("=")
        if "," in value:
            values_of[name] = numbers(value)
        else:
            fixed.append(text)
    values: dict[str, Any] = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config)}
    values |= {**dict.fromkeys(SWEPT), "seeds": None, "options": tuple(fixed)}
    config = Config(**values)
    usual = sweeping.usual_folder(config)
    folder = args.out or unused(usual)
    if args.out is None:
        _tell_folder(folder, usual)
    found = sweeping.sweep(config, values_of, seeds=args.seeds, out=folder, progress=args.progress)
    print(*sweeping.table(found), sep="\n")
    print(f"{folder}: sweep.png, sweep.json", file=sys.stderr)
    return 0 if found.signal is None else 128 + found.signal


def _begin(args: Train) -> tuple[Path, Processes, Iterator[Report]]:
    """Begin a run: its folder, who runs it, and its reports."""
    _check_env("train", args.env)
    names = {field.name for field in dataclasses.fields(Config)}
    config = complete(Config(**{name: value for name, value in vars(args).items() if name in names}))
    usual = usual_folder(config)
    folder = args.out or unused(usual)
    with Interruption(at_once=True, signals=(signal.SIGINT,)):
        processes = _joined(args, config)
        reports = training.train(config, folder, progress=args.progress, processes=processes)
    if args.out is None and processes.first:
        _tell_folder(folder, usual, f"--resume {usual} goes on with that one, ")
    if config.target is not None and args.target is None:
        print(
            f"{config.env}: ends at a score of {config.target:g} on fresh episodes, the preset's target; "
            "--target none goes on",
            file=sys.stderr,
        )
    usual_target = presets.of(config.env).get("target")
    if config.target is None and args.target is None and usual_target is not None:
        print(
            f"{config.env}: no target, since a limit is given; --target {usual_target:g} is the preset's",
            file=sys.stderr,
        )
    return folder, processes, reports


def _go_on(args: Train, folder: Path) -> tuple[Path, Processes, Iterator[Report]]:
    """The same for a run that is resumed."""
    given = _given(args)
    changeable = (*LIMITS, *WHERE)
    other = sorted(set(given) - {"resume", "progress", "video", *PROCESSES, *changeable})
    if other:
        raise ValueError(
            f"a resumed run keeps its settings: with --resume give only --{', --'.join(changeable)}; got "
            + ", ".join(f"--{name.replace('_', '-')}" if name != "env" else given[name] for name in other)
        )
    changes = {name: given[name] for name in changeable if name in given}
    with Interruption(at_once=True, signals=(signal.SIGINT,)):
        processes = _joined(args, training.to_resume(folder, changes))
        return folder, processes, training.resume(folder, progress=args.progress, processes=processes, **changes)


def _check_env(command: str, env: str) -> None:
    if not env:
        raise ValueError(f"{command} needs an environment, such as brax/hopper; `jaxes envs` lists them")


def _tell_folder(folder: Path, usual: Path, instead: str = "") -> None:
    """Say that a new folder is not the usual one, and why."""
    if folder != usual:
        print(f"{usual} is there already, so this goes to {folder}; {instead}--out names a folder", file=sys.stderr)


def _joined(args: Train, config: Config) -> Processes:
    """Join the processes that run the command."""
    training.prepare(config)
    where = args.coordinator, args.processes, args.process_id
    return parallel.join(*where, timeout=args.patience, heartbeat=args.heartbeat)


def _consume(reports: Iterator[Any]) -> int | None:
    """Go through a run; the signal that interrupted it (perhaps between two reports), or None."""
    with Interruption() as interruption:
        try:
            for report in reports:
                if interruption.received and report.stopped is None:
                    return interruption.received
        except Interrupted as stop:
            return stop.signal_number
        finally:
            reports.close()  # pyrefly: ignore[missing-attribute]
    return None


def _given(args: Any) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(args)
        if getattr(args, field.name) != field.default
    }
