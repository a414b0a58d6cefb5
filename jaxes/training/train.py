"""Train a policy on an environment: from settings to the folder of a run, and back."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxes import lowrank, noise, parallel, rl
from jaxes.envs import Env
from jaxes.parallel import Processes
from jaxes.problem import Problem
from jaxes.rl.policies.policy import Policy
from jaxes.strategies import STRATEGIES
from jaxes.strategy import Strategy
from jaxes.support import keys
from jaxes.support.keys import Stream
from jaxes.training import about
from jaxes.training import config as settings
from jaxes.training.actor import actor
from jaxes.training.config import Config
from jaxes.training.fitting import fit
from jaxes.training.report import Report


class Parts(NamedTuple):
    """The parts of a run."""

    env: Env
    policy: Policy
    problem: Problem
    strategy: Strategy


def build(config: Config) -> Parts:
    """Make the parts of a run: an environment, a policy, a problem and a strategy.

    Args:
        config: complete settings; strings and numbers.

    Raises:
        ValueError: if settings do not fit each other.
    """
    options = settings.strategy_options(config)
    strategy = STRATEGIES[config.strategy](config.population_size, **options)
    env, policy = actor(config)
    if config.noise == "low_rank":
        options["noise"] = noise.low_rank(plan=_plan(env, policy))
        strategy = STRATEGIES[config.strategy](config.population_size, **options)
    problem = rl.rollout(env, policy, **settings.rollout_options(config))
    return Parts(env, policy, problem, strategy)


def _plan(env: Env, policy: Policy) -> lowrank.Plan:
    """Which parameters of a policy are matrices."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(policy.init, key)
    return lowrank.plan(policy.act, params, jax.eval_shape(policy.start, params), env.observation, key)


def usual_folder(config: Config, root: str | Path = "runs") -> Path:
    """`runs/ENV-STRATEGY-SEED`."""
    return Path(root) / f"{file_name(config.env)}-{config.strategy}-{config.seed}"


def file_name(env: str) -> str:
    """The name of an environment in the name of a folder."""
    return env.replace("/", "-").replace(":", "-")


def unused(path: Path) -> Path:
    """The path, followed by a number if it exists already."""
    found, count = path, 1
    while found.exists():
        count += 1
        found = path.with_name(f"{path.name}-{count}")
    return found


def train(
    config: Config, out: str | Path | None = None, *, progress: bool = True, processes: Processes | None = None
) -> Iterator[Report]:
    """Train from the beginning.

    Args:
        config: settings, which are numbers and strings; the environment's preset stands in for those that are None.
            With `devices` or `strict` JAX must not have started yet, unless it has that many devices and
            `jaxes.strict()` was called.
        out: the folder of the run, which must not hold another run; `runs/ENV-STRATEGY-SEED` if None, followed by a
            number if that exists already.
        progress: whether to show a bar.
        processes: from `jaxes.parallel.join`, if several processes call this; the first one writes the folder.

    Yields:
        A `Report` for each chunk of generations. However the iteration ends, the trained policy is in the folder.

    Raises:
        ValueError: for unknown settings, or settings that do not fit each other.
        FileExistsError, OSError, Interrupted: see `jaxes.fit`.

    >>> config = jaxes.training.Config("brax/hopper", seconds=60)  # doctest: +SKIP
    >>> scores = [report.evaluation for report in jaxes.training.train(config)]  # doctest: +SKIP
    """
    config = settings.complete(config)
    folder = Path(out) if out is not None else unused(usual_folder(config))
    return _run(config, folder, resume=False, progress=progress, processes=processes)


def resume(
    folder: str | Path, *, progress: bool = True, processes: Processes | None = None, **changes: Any
) -> Iterator[Report]:
    """Continue a run.

    Args:
        folder: of the run.
        progress: whether to show a bar.
        processes: see `train`; any number of processes may continue a run.
        **changes: new limits (`generations`, `steps`, `seconds`, `target`), which replace all old limits; `workers` and
            `ray`, which replace the old players; `devices` and `comm`, which replace the old devices.

    Yields:
        A `Report` for each chunk of generations.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if the run has reached its limit or its target (a new one too, if its last evaluation reaches it).

    >>> reports = jaxes.training.resume("runs/brax-hopper-open_es-0", seconds=120)  # doctest: +SKIP
    """
    return _run(to_resume(folder, changes), Path(folder), resume=True, progress=progress, processes=processes)


def to_resume(folder: str | Path, changes: dict[str, Any]) -> Config:
    """The settings of a run with some changes.

    Args:
        folder: of the run, a path or a string.
        changes: names and values, see `resume`.

    Raises:
        FileNotFoundError: if the folder holds no run.
    """
    about.require(Path(folder), "run to resume", about.NAME)
    config = settings.load(Path(folder) / about.NAME)
    return settings.resumed(config, changes) if changes else config


def prepare(config: Config) -> None:
    """Set what must be set before JAX starts and before processes join: strict mode, and devices made of a CPU.

    Args:
        config: settings; only `strict` and `devices` (a number) matter.
    """
    if config.strict:
        parallel.strict()
    if config.devices is not None and not parallel.started():
        jax.config.update("jax_num_cpu_devices", config.devices)


def _run(
    config: Config, folder: Path, *, resume: bool, progress: bool, processes: Processes | None
) -> Iterator[Report]:
    processes = Processes() if processes is None else processes
    prepare(config)
    same = {name: value for name, value in dataclasses.asdict(config).items() if name not in settings.LIMITS}
    processes.check_alike(same)
    one_executable = config.strict and jax.default_backend() != "cpu"
    mesh = None
    if processes.count > 1 or config.devices is not None or one_executable:
        mesh = parallel.mesh(config.devices if processes.count == 1 else None)
    parts = build(config)
    key = jax.random.key(config.seed, impl=config.random)
    params = jax.jit(parts.policy.init)(keys.stream(key, Stream.PARAMETERS))
    players = {name: getattr(config, name) for name in settings.PLAYERS}
    players |= {} if config.lanewise is None else {"lanewise": config.lanewise}
    held_out = rl.evaluation(parts.env, parts.policy, episodes=config.evaluation_episodes, **players)
    return fit(
        parts.strategy,
        parts.problem,
        params,
        key=key,
        **{name: getattr(config, name) for name in settings.LIMITS},
        evaluate=held_out,
        evaluate_every=config.evaluate_every,
        report_every=config.report_every,
        out=folder,
        resume=resume,
        settings=config,
        track=config.track,
        progress=progress,
        title=config.env,
        mesh=mesh,
        comm=config.comm or "blocks",
        block_by_block=one_executable,
        processes=processes,
    )
