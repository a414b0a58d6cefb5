"""Train a policy on an environment: from settings to a run's folder, and back."""

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
from jaxes.training import config as settings
from jaxes.training import trained
from jaxes.training.actor import actor
from jaxes.training.config import Config
from jaxes.training.loop import Report, fit


class Parts(NamedTuple):
    """What settings are made into."""

    env: Env
    policy: Policy
    problem: Problem
    strategy: Strategy


def build(config: Config) -> Parts:
    """Make the parts of a run; raises ValueError where settings do not fit each other."""
    options = settings.strategy_options(config)
    strategy = STRATEGIES[config.strategy](config.population_size, **options)
    env, policy = actor(config)
    if config.noise == "low_rank":
        options["noise"] = noise.low_rank(plan=_plan(env, policy))
        strategy = STRATEGIES[config.strategy](config.population_size, **options)
    problem = rl.rollout(env, policy, **settings.rollout_options(config))
    return Parts(env, policy, problem, strategy)


def _plan(env: Env, policy: Policy) -> lowrank.Plan:
    """Which of a policy's parameters are matrices."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(policy.init, key)
    return lowrank.plan(policy.act, params, jax.eval_shape(policy.start, params), env.observation, key)


def default_folder(config: Config, root: str | Path = "runs") -> Path:
    """`runs/ENV-STRATEGY-SEED`, with a number behind it if that is taken."""
    name = f"{config.env.replace('/', '-')}-{config.strategy}-{config.seed}"
    path = Path(root) / name
    count = 1
    while path.exists():
        count += 1
        path = Path(root) / f"{name}-{count}"
    return path


def train(
    config: Config, out: str | Path | None = None, *, progress: bool = True, processes: Processes | None = None
) -> Iterator[Report]:
    """Train from the beginning.

    Args:
        config: its gaps are filled from the environment's preset. With `devices` or `strict` JAX must not have started
            yet, unless there are that many devices and `jaxes.strict()` was called.
        out: the run's folder, `default_folder` if None; must not hold a run.
        progress: show a bar.
        processes: from `jaxes.parallel.join`, where several processes do the same; the first one writes the folder.

    Yields:
        A `Report` for each chunk of generations. The trained policy is in the folder whenever the iteration ends.
    """
    config = settings.complete(config)
    folder = Path(out) if out is not None else default_folder(config)
    return _run(config, folder, resume=False, progress=progress, processes=processes)


def resume(
    folder: str | Path, *, progress: bool = True, processes: Processes | None = None, **changes: Any
) -> Iterator[Report]:
    """Go on with a run.

    Args:
        folder: of the run.
        progress: show a bar.
        processes: as of `train`; any number of processes may go on with a run.
        **changes: new limits (`generations`, `steps`, `seconds`, `target`), replacing all the old ones, or who plays
            (`workers`, `ray`) or computes (`devices`, `comm`), replacing who did.
    """
    return _run(to_resume(folder, changes), Path(folder), resume=True, progress=progress, processes=processes)


def to_resume(folder: str | Path, changes: dict[str, Any]) -> Config:
    """The settings of a run with some changes; raises FileNotFoundError if there is none in the folder."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run to resume: it has no config.json")
    config = settings.load(path)
    return settings.resumed(config, changes) if changes else config


def prepare(config: Config) -> None:
    """What has to be set before JAX starts, and before processes join: strict mode, and devices made of a CPU."""
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
    held_out = rl.evaluation(parts.env, parts.policy, episodes=config.evaluation_episodes, **players)
    reports = fit(
        parts.strategy,
        parts.problem,
        params,
        key=key,
        **{name: getattr(config, name) for name in settings.LIMITS},
        evaluate=lambda params, state, key: held_out(params, state.normalizer, key).returns,
        evaluate_every=config.evaluate_every,
        out=folder,
        resume=resume,
        progress=progress,
        title=config.env,
        mesh=mesh,
        comm=config.comm or "blocks",
        block_by_block=one_executable,
        processes=processes,
    )
    return _saving(reports, config, folder) if processes.first else reports


def _saving(reports: Iterator[Report], config: Config, folder: Path) -> Iterator[Report]:
    """Pass the reports on; keep the settings and the newest policy in the folder."""
    settings.save(config, folder / "config.json")
    report = None
    try:
        for report in reports:
            yield report
    finally:
        reports.close()  # pyrefly: ignore[missing-attribute]
        if report is not None:
            trained.save(folder, report.params, report.problem_state.normalizer)
