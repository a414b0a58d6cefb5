"""The arguments of each command, from which `tyro` makes the parser and the help."""

import dataclasses
import functools
import operator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from jaxes.support import checks
from jaxes.training import hints
from jaxes.training.config import Config
from jaxes.training.trained import SEED


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


def numbers(text: str) -> tuple[float, ...]:
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
        instance_from_str=lambda given: numbers(given[0]),
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


Written = Annotated[tuple[str, ...], tyro.conf.arg(metavar="FLOAT [FLOAT ...]")]
"""Numbers that `jaxes minimize` reads itself, for commas may stand between them too."""
Places = Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="[INT ...]")]


@dataclasses.dataclass(frozen=True)
class Minimize:
    """Minimize a Python function of a vector of numbers, by `jaxes.minimize_function`."""

    function: tyro.conf.Positional[str] = ""
    """MODULE:NAME of a function of a NumPy array that returns a number; the module may be in the current folder."""
    x0: Written = ()
    """Where to start: one number for each coordinate."""
    sigma: Written = ()
    """Initial standard deviation, a quarter of the width of the region to search: one number, or one for each
    coordinate; by default a quarter of the width of the bounds."""
    bounds: Written = ()
    """LOW HIGH for all coordinates, or LOW HIGH LOW HIGH ... for each; inf is no bound."""
    integer: Places = None
    """Which coordinates are whole numbers, counted from 0; without any number, all of them."""
    constraints: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODULE:NAME ...")] = ()
    """Functions of the same array that return numbers, 0 or less where the constraints hold."""
    target: float | None = None
    """Stop at a value of at most this."""
    budget: Annotated[float | None, tyro.conf.arg(metavar="INT")] = None
    """How many evaluations there may be, such as 10000 or 1e4."""
    seconds: float | None = None
    """Stop after the generation in which that much time is over."""
    restarts: str | None = None
    """What follows when a run has ended: a number of further runs with doubled populations, ipop or bipop."""
    population_size: int | None = None
    """Members of the first run; 4 + 3 ln(coordinates) by default."""
    strategy: str = "cma_es"
    """The strategy (`jaxes strategies` lists them)."""
    options: tuple[str, ...] = ()
    """Settings of the strategy, each as NAME=VALUE, for example active=false."""
    seed: int = 0
    """Seed of all randomness."""
    workers: int | None = None
    """How many processes evaluate; -1 for one on each core."""
    vectorized: bool = False
    """Whether the function takes all candidates at once, an array [members, coordinates], and returns a value each."""
    noisy: bool = False
    """Whether the function gives another value each time, so that some are measured again."""
    out: Path | None = None
    """Folder for the state of the search, with which --resume goes on, and its history, which `jaxes plot` draws."""
    resume: bool = False
    """Whether to go on with the search in the folder --out."""
    verbose: int = 1
    """0 prints no table, 1 prints one of a search that takes over 2 seconds, 2 prints one from the start."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play held-out episodes with a trained policy and print the scores."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 64
    """How many episodes."""
    seed: int = SEED
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
    seed: int = SEED
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


def _explained(command: type) -> type:
    """The command with what its help says in place of "default: None"."""
    types = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        if field.default in (None, "", ()):
            hint = hints.default(field.name) if issubclass(command, Config) else ""
            note = tyro.conf.arg(help_behavior_hint=hint, metavar=hints.form(field.name, types[field.name]))
            command.__annotations__[field.name] = Annotated[types[field.name], note]
    return command


COMMANDS: dict[str, type] = {
    "train": Train,
    "sweep": Sweep,
    "minimize": Minimize,
    "evaluate": Evaluate,
    "plot": Plot,
    "render": Render,
    "bench": Bench,
    "envs": Envs,
    "strategies": Strategies,
}

_NAMED = [
    Annotated[_explained(command), tyro.conf.subcommand(name)]  # pyrefly: ignore[invalid-annotation]
    for name, command in COMMANDS.items()
]
_COMMAND: Any = functools.reduce(operator.or_, _NAMED)


def parsed(words: list[str]) -> Any:
    """The command line as an instance of one of the `COMMANDS`; exits after help, and with 2 for what is no argument.

    Raises:
        ValueError: for an unknown command.
    """
    if words and not words[0].startswith("-"):
        name = checks.choice("command", words[0], COMMANDS)  # alone, so that what is said of errors is about it
        return tyro.cli(COMMANDS[name], prog=f"jaxes {name}", args=words[1:])
    return tyro.cli(
        _COMMAND,
        prog="jaxes",
        args=words,
        description="Evolution strategies in JAX. `jaxes --version` tells the version.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
