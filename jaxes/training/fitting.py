"""`jaxes.fit`: from a strategy and a problem to a run that reports."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxes.parallel import Comm, Processes
from jaxes.problem import Problem
from jaxes.problem import problem as problem_of
from jaxes.strategy import Strategy, checked
from jaxes.support import checks, keys
from jaxes.support.keys import Stream
from jaxes.support.numerals import plain
from jaxes.support.progress import Progress
from jaxes.training import about, tracking
from jaxes.training.config import Config
from jaxes.training.devices import Devices
from jaxes.training.evaluating import Evaluate, confirmation, scoring
from jaxes.training.folder import Opened, opened
from jaxes.training.limits import Limits
from jaxes.training.loop import Run, totals
from jaxes.training.origin import origin
from jaxes.training.report import Report


def fit(
    strategy: Strategy,
    problem: Problem | Callable[[Any], Any],
    params: Any,
    *,
    key: jax.Array,
    generations: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    target: float | None = None,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 10,
    report_every: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Config | Mapping[str, Any] | None = None,
    track: str | None = None,
    progress: bool = True,
    title: str = "",
    chunk_seconds: float = 1.0,
    checkpoint_seconds: float = 30.0,
    mesh: jax.sharding.Mesh | None = None,
    comm: Comm = "blocks",
    block_by_block: bool = False,
    processes: Processes | None = None,
) -> Iterator[Report]:
    """Run generations until a limit is reached, and report after each compiled chunk of them.

    The length of a chunk is chosen so that it takes about `chunk_seconds`. It is a traced number, so one executable
    serves all lengths. The results depend neither on the lengths nor on where a run was interrupted and resumed.

    Args:
        strategy: what to run.
        problem: what to run it on; a function of one member stands for `jaxes.problem` of it.
        params: where to start: a tree of float arrays.
        key: one typed key, from which all randomness is derived.
        generations: stop after this many generations. Without any limit the run goes on until you stop iterating.
        steps: stop after this many steps, which the problem must count.
        seconds: stop after this many seconds, with compiling included.
        target: stop when the mean score of an evaluation reaches this, and so does that of four times as many fresh
            episodes, so that luck does not end the run.
        evaluate: `(params, problem_state, key) -> float[episodes]`: the scores of the recommended parameters;
            `jaxes.rl.evaluation` makes one. It is jitted. The key is the same every time, and no member's key is
            derived from it.
        evaluate_every: generations between two evaluations; there is always one at the end.
        report_every: generations between two reports, beside those with an evaluation and at the end. With None the
            time decides: one chunk, one report.
        out: a folder for checkpoints, metrics, TensorBoard events, `reward.png` and the policy, which
            `jaxes.load(out, env=env, policy=policy)` gives back; with None nothing is written.
        resume: whether to go on from the newest checkpoint in `out`, or from the beginning where a run was ended before
            its first.
        settings: what to keep in the folder's `config.json`: names and values of your choice.
        track: where else to send settings, metrics and pictures: "wandb", "mlflow" or "trackio".
        progress: whether to show a bar.
        title: the text before the bar; the name of the folder by default.
        chunk_seconds: about how many seconds there should be between two reports.
        checkpoint_seconds: the least number of seconds between two checkpoints. There is always one at the end and when
            the run is interrupted.
        mesh: spread the population over the axis "population" of this mesh (`jaxes.parallel.mesh`). A run may be
            resumed on another number of devices.
        comm: what the devices of the mesh send to each other, see `jaxes.parallel.spread`.
        block_by_block: compute the same bits on any number of devices of any kind (`jaxes.parallel.block_by_block`);
            the devices are those of the mesh.
        processes: from `jaxes.parallel.join`, if several processes run this same program on one mesh. The first one
            writes `out`, shows progress and keeps the time; all of them report.

    Yields:
        A `Report` for each chunk. Its metrics are numbers: `generation`, `seconds`, the problem's totals (`steps`,
        `episodes`, `truncated` and `lane_steps` of a rollout), the `Info` of the last generation, `evaluation`,
        `evaluation_std`, `evaluation_rank`, `confirmation`, `steps_per_second`, and the problem's ratios since the last
        report (`episode_length`, `truncated_share` and `utilization` of a rollout). The rank is the share of the last
        generation's members whose fitness is below the score of an evaluation episode, on average over the episodes;
        note that fitness may have a shift, a bonus, noise and a cap in it.

    Raises:
        FileExistsError: before any work, if `out` holds a run already.
        FileNotFoundError: before any work, if `out` holds no run to resume.
        OSError: before any work, if `out` cannot be written.
        TypeError, ValueError: before any work, if arguments are not what they should be or do not fit each other, or
            the checkpoint was made by another strategy, with another population size, sigma or key, or with other
            settings, or the run to resume has reached a limit or the target.
        Interrupted: (a `KeyboardInterrupt`) after Ctrl-C or SIGTERM, when the checkpoint has been written.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> options = {"key": jax.random.key(0), "generations": 20, "progress": False}
    >>> for report in jaxes.fit(jaxes.open_es(16), sphere, jnp.ones(3), **options):
    ...     pass
    >>> report.generation, report.stopped
    (20, 'generations')
    """
    limits = Limits(generations, steps, seconds, target).check()
    if target is not None and evaluate is None:
        raise ValueError("target is a score of evaluate, so evaluate must be given")
    if evaluate is not None:
        checks.function("evaluate", evaluate, "parameters", "the problem's state", "a key")
    evaluate_every, report_every = plain((evaluate_every, report_every))
    chunk_seconds, checkpoint_seconds = plain((chunk_seconds, checkpoint_seconds))
    checks.count("evaluate_every", evaluate_every)
    if report_every is not None:
        checks.count("report_every", report_every)
    checks.real("chunk_seconds", chunk_seconds, "of 0 or more that is finite", lambda x: 0 <= x < math.inf)
    checks.real("checkpoint_seconds", checkpoint_seconds, "of 0 or more", lambda x: x >= 0)
    strategy = checked(strategy)
    if not isinstance(problem, Problem):
        if not callable(problem):
            raise TypeError(f"problem must be a jaxes.Problem or a function of one member, got {problem!r}")
        problem = problem_of(problem)
    key = checks.key(key)
    about.check(settings)
    tracking.check(track)
    if track is not None and out is None:
        raise ValueError("track needs out: the folder that remembers where the run is tracked")
    state = strategy.init(keys.stream(key, Stream.STRATEGY), params)
    problem_state = problem.init(keys.stream(key, Stream.TASK))
    if steps is not None and "steps" not in problem.counters(problem_state):
        raise ValueError("steps needs a problem that counts them, such as jaxes.rl.rollout")
    processes = Processes() if processes is None else processes
    devices = Devices(mesh, comm, block_by_block, processes)
    devices.check(strategy, problem)
    title = title or ("fit" if out is None else Path(out).name)
    chunk = devices.chunk(strategy, problem)
    scores = None if evaluate is None else scoring(strategy, problem, evaluate)
    begin = Opened(None, (state, problem_state), 0.0)
    if out is not None:
        made_of = origin(strategy, state, key, params)
        begin = opened(Path(out), begin.carry, resume, track, processes, made_of)
        steps_so_far = totals(problem, begin.carry).get("steps", 0)
        confirm = None if scores is None else functools.partial(confirmation, scores, begin.carry, key)
        _check_end(begin, limits, steps_so_far, out, confirm, processes)
        if begin.folder is not None:
            begin.folder.describe(settings)
    elif resume:
        raise ValueError("resume needs out: the folder of the run to go on with")
    return Run(
        strategy=strategy,
        problem=problem,
        chunk=chunk,
        key=key,
        scores=scores,
        evaluate_every=evaluate_every,
        report_every=report_every,
        limits=limits,
        devices=devices,
        folder=begin.folder,
        bar=Progress(title, limits.lengths(), progress and processes.first, target=limits.target),
        chunk_seconds=chunk_seconds,
        checkpoint_seconds=checkpoint_seconds,
        here=begin.carry,
        spent=begin.seconds,
    ).reports()


def _check_end(
    begin: Opened,
    limits: Limits,
    steps: int,
    out: Any,
    confirm: Callable[[int], float] | None,
    processes: Processes,
) -> None:
    """Raise ValueError if the run to go on with has come to its end.

    A target may be new, and the last evaluation reach it: then `confirm(generation)` is the score on fresh episodes.
    """
    now = int(begin.carry[0].step)
    try:
        limits.refuse(out, now, steps, begin.seconds, begin.confirmed)
        if confirm is not None and begin.confirmed is None and limits.hit(begin.evaluated):
            (confirmed,) = processes.agree(confirm(now))
            limits.refuse(out, now, steps, begin.seconds, confirmed)
    except BaseException:
        if begin.folder is not None:
            begin.folder.release()
        raise
