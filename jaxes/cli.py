"""The command line: `jaxes train | evaluate | plot | render | bench | envs | strategies`."""

import dataclasses
import inspect
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxes.training.compiling import at_work, leave
from jaxes.training.config import LIMITS, WHERE, Config

PROCESSES = ("coordinator", "processes", "process_id", "heartbeat", "patience")


@dataclasses.dataclass(frozen=True)
class Train(Config):
    """Train a policy on an environment, or continue a run."""

    env: tyro.conf.Positional[str] = ""
    """Environment, SUITE/NAME; `jaxes envs` lists them. Not with --resume."""
    out: Path | None = None
    """Folder of the run; runs/ENV-STRATEGY-SEED by default."""
    resume: Path | None = None
    """Folder of a run to go on with; beside it only new limits (generations, steps, seconds, target) may be given, and
    who plays and computes (workers, ray, devices, comm)."""
    progress: bool = True
    """Whether to show progress."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes that all run this command; "auto" on SLURM and TPU pods."""
    processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this is; number 0 is at the coordinator's address and writes the folder."""
    heartbeat: int = 30
    """Seconds after which the death of a process ends the others; restart all of them with --resume."""
    patience: int = 60
    """Seconds to wait for the coordinator and the other processes."""
    video: bool = True
    """Whether to leave a GIF of the trained policy in the folder, where this machine can draw one."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play held-out episodes with a trained policy and print the scores."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 64
    """How many episodes."""
    seed: int = 1_000_003
    """Seed of the episodes' starts."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw learning curves: reward.png in each run's folder, and one picture that compares them.

    In the folder of a search by `jaxes.minimize_function` it draws optimization.png.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders."""
    out: Path | None = None
    """The picture that compares several runs; runs/compare.png by default."""
    x: str = "steps"
    """steps, seconds or generation."""


@dataclasses.dataclass(frozen=True)
class Render:
    """Write one episode of a trained policy as a GIF, an MP4 or, for Brax, an HTML page."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    seed: int = 1_000_003
    """Seed of the episode's start."""
    out: Path | None = None
    """The file to write, .gif, .mp4 (needs the extra "video") or .html; RUN/episode.gif by default."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """Run a benchmark of the source tree, which writes benchmarks/results/."""

    name: tyro.conf.Positional[str]
    """Its name, e.g. correctness."""
    arguments: tyro.conf.Positional[tuple[str, ...]] = ()
    """Its arguments; put -- before them if one begins with a dash."""


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the environments with the sizes of their observations and actions, their time limits, and what they need."""


@dataclasses.dataclass(frozen=True)
class Strategies:
    """List the strategies and the settings that each one has."""


def train(args: Train) -> int:
    from jaxes import training

    given = _given(args)
    if args.resume is not None:
        changeable = (*LIMITS, *WHERE)
        other = sorted(set(given) - {"resume", "progress", "video", *PROCESSES, *changeable})
        if other:
            raise ValueError(
                f"a resumed run keeps its settings: with --resume give only --{', --'.join(changeable)}; got "
                + ", ".join(f"--{name.replace('_', '-')}" if name != "env" else given[name] for name in other)
            )
        folder = args.resume
        changes = {name: given[name] for name in changeable if name in given}
        processes = _joined(args, training.to_resume(folder, changes))
        reports = training.resume(folder, progress=args.progress, processes=processes, **changes)
    else:
        if not args.env:
            raise ValueError("train needs an environment, such as brax/hopper; `jaxes envs` lists them")
        names = {field.name for field in dataclasses.fields(Config)}
        config = Config(**{name: value for name, value in vars(args).items() if name in names})
        from jaxes.training.config import complete
        from jaxes.training.train import default_folder

        config = complete(config)
        processes = _joined(args, config)
        folder = args.out or default_folder(config)
        reports = training.train(config, folder, progress=args.progress, processes=processes)
    stop = _consume(reports)
    processes.leave()
    if not processes.first:
        return 0 if stop is None else 128 + stop
    if stop is not None:
        saved = any(path.name.isdigit() for path in (Path(folder) / "checkpoints").glob("*"))
        text = "Saved" if saved else "Stopped before the first generation"
        print(f"\n{text}. Go on with: jaxes train --resume {folder}", file=sys.stderr)
        return 128 + stop
    if args.video:
        try:
            render(Render(folder))
        except Exception as error:  # no OpenGL here: whatever its libraries raise
            print(f"no GIF: {error}", file=sys.stderr)
    print(f"{folder}: reward.png, metrics.jsonl, checkpoints, policy; next: jaxes evaluate {folder}", file=sys.stderr)
    return 0


def _joined(args: Train, config: Config) -> Any:
    """Join the processes that run the command."""
    from jaxes import parallel, training

    training.prepare(config)
    where = args.coordinator, args.processes, args.process_id
    return parallel.join(*where, timeout=args.patience, heartbeat=args.heartbeat)


def _consume(reports: Iterator[Any]) -> int | None:
    """Go through a run; the signal that interrupted it (perhaps between two reports), or None."""
    from jaxes.training import Interrupted
    from jaxes.training.interruption import Interruption

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


def evaluate(args: Evaluate) -> int:
    import jax
    import numpy as np

    from jaxes import training

    if args.episodes < 1:
        raise ValueError(f"episodes must be 1 or more, got {args.episodes}")
    policy = training.load(args.run)
    print(f"{policy.env.name}: playing {args.episodes} episodes", file=sys.stderr)
    out = jax.device_get(policy.evaluate(jax.random.key(args.seed), args.episodes))
    score = out.returns
    spread = f"median {np.median(score):.1f}, {score.min():.1f} to {score.max():.1f}"
    print(f"score    {np.mean(score):.1f} ± {np.std(score):.1f}, {spread}")
    print(
        f"length   {np.mean(out.lengths):.0f} of {policy.env.max_steps} steps, {np.mean(out.truncated):.0%} to the end"
    )
    return 0


def plot(args: Plot) -> int:
    from jaxes.training import plots

    searches = [run for run in args.runs if (run / "history.json").exists()]
    for run in args.runs:
        print(plots.optimization(run) if run in searches else plots.reward(run))
    if len(args.runs) > 1 and not searches:
        print(plots.compare(args.runs, args.out or Path("runs/compare.png"), args.x))
    return 0


def render(args: Render) -> int:
    import jax

    from jaxes import training
    from jaxes.training import video

    path = video.suffixed(args.out or args.run / "episode.gif")
    policy = training.load(args.run)
    print(f"{policy.env.name}: drawing an episode", file=sys.stderr)
    print(video.write(policy, jax.random.key(args.seed), path))
    return 0


def bench(args: Bench) -> int:
    from jaxes.support import checks

    folder = Path(__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise FileNotFoundError("benchmarks come with the source tree, not with the installed package: clone it first")
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    script = folder / f"{checks.choice('benchmark', args.name, names)}.py"
    return subprocess.run([sys.executable, script, *args.arguments], check=False).returncode


def list_envs(_: Envs) -> int:
    from jaxes import envs

    print(f"{'environment':34} {'observation':>11}  {'action':11} {'steps':>5}")
    for row in envs.listing():
        action = f"{row.action.n} choices" if isinstance(row.action, envs.Discrete) else row.action
        needs = "" if row.extra is None else f"  needs: pip install 'jaxes[{row.extra}]'"
        print(f"{row.name:34} {row.observation:11}  {action!s:11} {row.max_steps:5}{needs}")
    return 0


def list_strategies(_: Strategies) -> int:
    from jaxes.strategies import STRATEGIES

    for name, factory in STRATEGIES.items():
        line = (inspect.getdoc(inspect.getmodule(factory)) or "").splitlines()[0]
        settings = [p for p in inspect.signature(factory).parameters if p != "population_size"]
        print(f"{name}\n    {line}\n    {' '.join(settings)}")
    return 0


Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Plot, tyro.conf.subcommand("plot")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Envs, tyro.conf.subcommand("envs")]
    | Annotated[Strategies, tyro.conf.subcommand("strategies")]
)

_COMMANDS: dict[type, Callable[[Any], int]] = {
    Train: train,
    Evaluate: evaluate,
    Plot: plot,
    Render: render,
    Bench: bench,
    Envs: list_envs,
    Strategies: list_strategies,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 2 for bad input, or 128 + the signal that interrupted it."""
    args = tyro.cli(
        Command,
        prog="jaxes",
        args=arguments,
        description="Evolution strategies in JAX.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    if arguments is None and not isinstance(args, Train):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to save: ends compilers too, which hear of nothing else
    try:
        code = _COMMANDS[type(args)](args)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("JAXES_TRACEBACK"):
            raise
        print(f"jaxes: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("\njaxes: interrupted; nothing had to be saved", file=sys.stderr)
        leave(130)
    except Exception:
        if not _among_others():
            raise
        traceback.print_exc()  # of a process that has lost the others, most likely
        code = 1
    if code and (_among_others() or at_work()):
        leave(code)  # a usual exit would wait for them
    sys.exit(code)


def _among_others() -> bool:
    """Whether this is one of several processes that have not parted yet."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def _given(args: Any) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(args)
        if getattr(args, field.name) != field.default
    }


if __name__ == "__main__":
    main()
