"""The command line: `jaxes train | sweep | evaluate | plot | render | bench | envs | strategies`."""

import dataclasses
import os
import signal
import subprocess
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from jaxes.support import checks
from jaxes.training.compiling import at_work, leave
from jaxes.training.config import LIMITS, WHERE, Config
from jaxes.training.interruption import Interruption

SWEPT = ("sigma", "learning_rate", "sigma_learning_rate", "weight_decay")
PROCESSES = ("coordinator", "processes", "process_id", "heartbeat", "patience")


@dataclasses.dataclass(frozen=True)
class Train(Config):
    """Train a policy on an environment, or continue a run."""

    env: tyro.conf.Positional[str] = ""
    """Environment, SUITE/NAME (`jaxes envs` lists them), or your own, MODULE:NAME. Not with --resume."""
    out: Path | None = None
    """Folder of the run."""
    resume: Path | None = None
    """Folder of a run to go on with; beside it only new limits (generations, steps, seconds, target) may be given, and
    who plays, computes and is told (workers, ray, devices, comm, track)."""
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


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers of "0.02,0.05,0.1"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"must be numbers with commas between them, such as 0.02,0.05, got {text!r}") from None


Numbers = Annotated[
    tuple[float, ...],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="X,Y,...",
        instance_from_str=lambda given: _numbers(given[0]),
        is_instance=lambda value: isinstance(value, tuple) and all(isinstance(part, float) for part in value),
        str_from_instance=lambda value: [",".join(f"{part:g}" for part in value)],
    ),
]


@dataclasses.dataclass(frozen=True)
class Sweep(Config):
    """Train with several values of a strategy's numbers and several seeds, in one compiled program.

    Every number of the strategy takes several values, with commas between them; every combination is tried.
    """

    env: tyro.conf.Positional[str] = ""
    """Environment, SUITE/NAME (`jaxes envs` lists them), or your own, MODULE:NAME."""
    sigma: Numbers = ()  # pyrefly: ignore[bad-override]
    """Standard deviations of the perturbations, for example 0.02,0.05,0.1."""
    learning_rate: Numbers = ()  # pyrefly: ignore[bad-override]
    """Adam's step sizes (open_es), or the rates of the mean."""
    sigma_learning_rate: Numbers = ()  # pyrefly: ignore[bad-override]
    """Rates of the step size."""
    weight_decay: Numbers = ()  # pyrefly: ignore[bad-override]
    """Pulls of the parameters towards zero."""
    options: tuple[str, ...] = ()
    """Other numbers of the strategy, each as NAME=VALUE,VALUE,..., for example c_m=0.5,1."""
    seeds: int = 4  # pyrefly: ignore[bad-override]
    """How many seeds, from --seed on."""
    out: Path | None = None
    """Folder of the sweep."""
    progress: bool = True
    """Whether to show progress."""


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

    In the folder of a search by `jaxes.minimize_function` it draws optimization.png. With several runs, --out and --x
    are those of the comparison.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders; what else a pattern such as runs/* finds is left out."""
    out: Path | None = None
    """The picture, of the run or of the comparison; by default reward.png in the folder, and compare.png beside."""
    x: str | None = None
    """The horizontal axis: steps (if the runs count them), seconds or generation."""


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

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Only those with one of these words in their names, for example brax or cartpole."""


@dataclasses.dataclass(frozen=True)
class Strategies:
    """List the strategies and the settings that each one has."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Those to describe in full, for example cma_es."""


def train(args: Train) -> int:
    from jaxes import training
    from jaxes.training import about, metrics

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
        _check_run(folder)
        changes = {name: given[name] for name in changeable if name in given}
        with Interruption(at_once=True, signals=(signal.SIGINT,)):
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
        folder = args.out or default_folder(config)
        with Interruption(at_once=True, signals=(signal.SIGINT,)):
            processes = _joined(args, config)
            reports = training.train(config, folder, progress=args.progress, processes=processes)
        if config.target is not None and args.target is None:
            print(
                f"{config.env}: ends at a score of {config.target:g} on fresh episodes, the preset's target; "
                "--target none goes on",
                file=sys.stderr,
            )
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
    metrics.send_pictures(Path(folder), (about.read(folder) or {}).get("track"))
    print(f"{folder}: reward.png, metrics.jsonl, checkpoints, policy; next: jaxes evaluate {folder}", file=sys.stderr)
    return 0


def sweep(args: Sweep) -> int:
    from jaxes.training import sweeping

    if not args.env:
        raise ValueError("sweep needs an environment, such as brax/hopper; `jaxes envs` lists them")
    numbers = {name: getattr(args, name) for name in SWEPT if getattr(args, name)}
    fixed = []
    for text in args.options:
        name, _, value = text.partition("=")
        if "," in value:
            numbers[name] = _numbers(value)
        else:
            fixed.append(text)
    values: dict[str, Any] = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config)}
    values |= {**dict.fromkeys(SWEPT), "seeds": None, "options": tuple(fixed)}
    config = Config(**values)
    folder = args.out or sweeping.default_folder(config)
    found = sweeping.sweep(config, numbers, seeds=args.seeds, out=folder, progress=args.progress)
    print(*sweeping.table(found), sep="\n")
    print(f"{folder}: sweep.png, sweep.json", file=sys.stderr)
    return 0 if found.signal is None else 128 + found.signal


def _joined(args: Train, config: Config) -> Any:
    """Join the processes that run the command."""
    from jaxes import parallel, training

    training.prepare(config)
    where = args.coordinator, args.processes, args.process_id
    return parallel.join(*where, timeout=args.patience, heartbeat=args.heartbeat)


def _consume(reports: Iterator[Any]) -> int | None:
    """Go through a run; the signal that interrupted it (perhaps between two reports), or None."""
    from jaxes.training import Interrupted

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
    from jaxes.training import config

    checks.count("episodes", args.episodes)
    key = jax.random.key(config.seed(args.seed))
    _check_run(args.run)
    policy = training.load(args.run)
    print(f"{policy.env.name}: playing {args.episodes} episodes", file=sys.stderr)
    out = jax.device_get(policy.evaluate(key, args.episodes))
    score = out.returns
    spread = f"median {np.median(score):.1f}, {score.min():.1f} to {score.max():.1f}"
    print(f"score    {np.mean(score):.1f} ± {np.std(score):.1f}, {spread}")
    print(
        f"length   {np.mean(out.lengths):.0f} of {policy.env.max_steps} steps, {np.mean(out.truncated):.0%} to the end"
    )
    return 0


def plot(args: Plot) -> int:
    from jaxes.training import plots, sweeping

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
        raise FileNotFoundError(f"{names} holds no run to plot: no metrics.jsonl, history.json or sweep.json")
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


def _check_run(folder: Path) -> None:
    """Raise ValueError for a folder that holds a sweep."""
    from jaxes.training import sweeping

    sweeping.refuse(folder)


def _common(runs: list[Path]) -> Path:
    """The folder that all runs are in."""
    return Path(os.path.commonpath([run.absolute().parent for run in runs])).resolve()


def render(args: Render) -> int:
    import jax

    from jaxes import training
    from jaxes.training import video

    _check_run(args.run)
    path = video.suffixed(args.out or args.run / "episode.gif")
    policy = training.load(args.run)
    print(f"{policy.env.name}: drawing an episode", file=sys.stderr)
    print(video.write(policy, jax.random.key(args.seed), path))
    return 0


def bench(args: Bench) -> int:
    folder = Path(__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise FileNotFoundError("benchmarks come with the source tree, not with the installed package: clone it first")
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    script = folder / f"{checks.choice('benchmark', args.name, names)}.py"
    return subprocess.run([sys.executable, script, *args.arguments], check=False).returncode


def list_envs(args: Envs) -> int:
    from jaxes.training import catalog

    print(*catalog.environments(args.names), sep="\n")
    return 0


def list_strategies(args: Strategies) -> int:
    from jaxes.training import catalog

    print(*catalog.strategies(args.names), sep="\n")
    return 0


def _explained(command: type) -> type:
    """The command with what its help says in place of "default: None"."""
    from jaxes.training import hints

    types = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        if field.default in (None, "", ()):
            hint = hints.default(field.name) if issubclass(command, Config) else ""
            note = tyro.conf.arg(help_behavior_hint=hint, metavar=hints.form(field.name, types[field.name]))
            command.__annotations__[field.name] = Annotated[types[field.name], note]
    return command


for _command in (Train, Sweep, Plot, Render, Envs, Strategies, Bench):
    _explained(_command)

Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Plot, tyro.conf.subcommand("plot")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Envs, tyro.conf.subcommand("envs")]
    | Annotated[Strategies, tyro.conf.subcommand("strategies")]
)

_COMMANDS: dict[type, Callable[[Any], int]] = {
    Train: train,
    Sweep: sweep,
    Evaluate: evaluate,
    Plot: plot,
    Render: render,
    Bench: bench,
    Envs: list_envs,
    Strategies: list_strategies,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 2 for bad input, or 128 + the signal that interrupted it."""
    try:
        with Interruption(at_once=True, signals=(signal.SIGINT,)) as early:
            code = _command_line(arguments)
            sys.stdout.flush()
            if code:
                early.received = None  # the signal has been answered
    except BrokenPipeError:  # `jaxes envs | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        print("\njaxes: interrupted; nothing had to be saved", file=sys.stderr)
        leave(130)
    except Exception as error:
        if _is_told_in_a_sentence(error):
            print(f"jaxes: {error}", file=sys.stderr)
            code = 2
        elif not _among_others():
            raise
        else:
            traceback.print_exc()  # of a process that has lost the others, most likely
            code = 1
    if code and (_among_others() or at_work()):
        leave(code)  # a usual exit would wait for them
    sys.exit(code)


def _command_line(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        import jaxes

        print(f"jaxes {jaxes.__version__}")
        return 0
    args = tyro.cli(
        Command,
        prog="jaxes",
        args=given,
        description="Evolution strategies in JAX. `jaxes --version` tells the version.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where MODULE:NAME may be
    if arguments is None and not isinstance(args, Config):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to save: ends compilers too, which hear of nothing else
    return _COMMANDS[type(args)](args)


def _is_told_in_a_sentence(error: Exception) -> bool:
    """Whether an error is about what the user gave, so that its text is enough; not one of a module of the user's."""
    if os.environ.get("JAXES_TRACEBACK") or not isinstance(error, ValueError | TypeError | OSError | ImportError):
        return False
    paths = sysconfig.get_paths()
    known = [str(Path(__file__).parent), *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    files, cause = [], error
    while cause is not None:
        files += [frame.filename for frame in traceback.extract_tb(cause.__traceback__)]
        cause = cause.__cause__
    return all(file.startswith(("<", *(path + os.sep for path in known))) for file in files)


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
