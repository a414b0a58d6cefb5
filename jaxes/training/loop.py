"""The training loop: compiled chunks of generations, and between them everything that Python has to do."""

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.parallel import Comm, Processes
from jaxes.problem import Problem
from jaxes.problem import problem as problem_of
from jaxes.strategy import Info, Strategy
from jaxes.support import checks, keys
from jaxes.support.keys import Stream
from jaxes.support.progress import Progress
from jaxes.training import about, tracking
from jaxes.training.compiling import Compiling, computed
from jaxes.training.config import Config
from jaxes.training.devices import Devices
from jaxes.training.evaluating import COLUMNS, CONFIRMATIONS, Evaluate, scoring, summary
from jaxes.training.folder import Folder, Opened, opened
from jaxes.training.interruption import Interrupted, Interruption
from jaxes.training.limits import Limits
from jaxes.training.origin import origin


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """A run after a chunk of generations; printed, it is short."""

    generation: int  # generations so far
    seconds: float  # of training so far, compiling and evaluation included
    info: Info  # of the last generation, as Python numbers
    evaluation: float | None  # mean score of the recommended parameters, None without an evaluation
    confirmation: float | None  # the same on fresh episodes, where the evaluation had reached the target
    metrics: dict[str, Any]  # the row of metrics.jsonl
    state: Any  # of the strategy
    problem_state: Any
    params: Any  # the recommended ones
    stopped: str | None  # the limit that ended the run: "generations", "steps", "seconds" or "target"; else None
    folder: Path | None = None  # where the run is kept, if this process writes it

    def __repr__(self) -> str:
        told: dict[str, Any] = {"generation": self.generation, "steps": self.metrics.get("steps")}
        told |= {"seconds": round(self.seconds, 1), "mean": _rounded(float(self.info.mean))}
        told |= {"evaluation": _rounded(self.evaluation), "confirmation": _rounded(self.confirmation)}
        told |= {"stopped": self.stopped, "folder": None if self.folder is None else str(self.folder)}
        known = ", ".join(f"{name}={value!r}" for name, value in told.items() if value is not None)
        return f"Report({known}, ...)"


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
            settings, or the run to resume has reached a limit or its target.
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
    checks.count("evaluate_every", evaluate_every)
    if report_every is not None:
        checks.count("report_every", report_every)
    checks.real("chunk_seconds", chunk_seconds, "of 0 or more that is finite", lambda x: 0 <= x < math.inf)
    checks.real("checkpoint_seconds", checkpoint_seconds, "of 0 or more", lambda x: x >= 0)
    if not isinstance(strategy, Strategy):
        raise TypeError(f"strategy must be a jaxes.Strategy, such as jaxes.open_es(64), got {strategy!r}")
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
    begin = Opened(None, (state, problem_state), 0.0, None)
    if out is not None:
        made_of = origin(strategy, state, key, params)
        begin = opened(Path(out), begin.carry, resume, track, processes, made_of)
        try:
            steps_so_far = _totals(problem, begin.carry).get("steps", 0)
            limits.refuse(out, int(begin.carry[0].step), steps_so_far, begin.seconds, begin.confirmed)
        except ValueError:
            if begin.folder is not None:
                begin.folder.release()
            raise
        if begin.folder is not None:
            begin.folder.describe(settings)
    elif resume:
        raise ValueError("resume needs out: the folder of the run to go on with")
    run = _Run(
        strategy=strategy,
        problem=problem,
        chunk=chunk,
        key=key,
        scores=None if evaluate is None else scoring(strategy, problem, evaluate),
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
    )
    return run.reports()


class _Chunk(NamedTuple):
    """The results of a chunk of generations."""

    info: Info  # of the last one
    fitness: jax.Array  # of the last one
    seconds: float  # of the run so far
    totals: dict[str, int]  # the problem's counters
    signal: int | None  # that asks the run to stop


@dataclasses.dataclass
class _Run:
    """A run: the parts that stay the same, and how far it is."""

    strategy: Strategy
    problem: Problem
    chunk: Callable[[Any, Any], Any]
    key: jax.Array
    scores: Callable[[Any, jax.Array], jax.Array] | None
    evaluate_every: int
    report_every: int | None
    limits: Limits
    devices: Devices
    folder: Folder | None
    bar: Progress
    chunk_seconds: float
    checkpoint_seconds: float

    here: Any  # (strategy's state, problem's state) on one device
    spent: float  # seconds before this part of the run
    length: int = 1  # generations of the next chunk
    score: float | None = None  # of the last evaluation
    confirmed: float | None = None  # the same on fresh episodes
    took: float = 0.0  # seconds of generations since the last report

    def reports(self) -> Iterator[Report]:
        """The loop. Whenever it is left, the run is saved."""
        text, interruption = "", Interruption()
        self._begin()
        try:
            while True:
                try:
                    with interruption:
                        interruption.at_once = self._has_nothing_to_save()
                        chunk = self._generations(interruption)
                        interruption.at_once = False
                        stopped = self.limits.reached(self.now, chunk.totals.get("steps", 0), chunk.seconds)
                        scores = self._evaluation(interruption, stopped)
                        if self.confirmed is not None and self.limits.hit(self.confirmed):
                            stopped = "target"
                        row = self._row(chunk, scores)
                        self.bar.show(row, self.score, self.start)
                        due = bool(stopped or chunk.signal or scores is not None or self._is_due())
                        self._keep(row if due else None, at_once=bool(stopped or chunk.signal))
                    if chunk.signal:
                        raise KeyboardInterrupt
                except KeyboardInterrupt:
                    text = f"interrupted at generation {self.now}"
                    raise self._interrupted(interruption) from None
                if not due:
                    continue
                self._told, self.took = chunk.totals, 0.0
                recommended = self.strategy.recommend(self.here[0])
                if stopped:
                    text = f"{self.limits.told(stopped, self.now)}{self._outcome(scores)}"
                    self.bar.close(text)
                state, problem_state = self.here
                yield Report(
                    generation=self.now,
                    seconds=row["seconds"],
                    info=Info(**_numbers(chunk.info)),
                    evaluation=row["evaluation"],
                    confirmation=row["confirmation"],
                    metrics=row,
                    state=state,
                    problem_state=problem_state,
                    params=recommended,
                    stopped=stopped,
                    folder=None if self.folder is None else self.folder.path,
                )
                if stopped:
                    return
        finally:
            self.bar.close(text)
            if self.folder is not None:
                if self.now > self.start["generations"]:
                    self.folder.save(self.here, self._clock(), self.strategy.recommend)
                self.folder.close()

    def _begin(self) -> None:
        """Start the clock and the compilers. There is nothing to save yet, so a signal ends it at once."""
        self.now = int(self.here[0].step)
        """Generations so far."""
        self._began = time.monotonic() - self.spent
        self._saved_at = self._clock()
        interruption = Interruption(at_once=True)
        self.bar.say("starting")
        try:
            with interruption:
                self._carry = self.devices.everywhere(self.here)
                self._chunk = Compiling(self.chunk, self._carry, np.int32(1))
                self._scores = None if self.scores is None else Compiling(self.scores, self.here, self.key)
                if self.folder is not None:
                    self.folder.open()
        except BaseException as error:
            self.bar.close()
            if self.folder is not None:
                self.folder.close()
                if isinstance(error, Exception):
                    self.folder.discard()
            if isinstance(error, KeyboardInterrupt):
                raise self._interrupted(interruption) from None
            raise
        if self.problem.listen is not None:
            self.problem.listen(_patiently(self.bar.part))
        self._told = _totals(self.problem, self.here)
        self.start = {"generations": self.now, "steps": self._told.get("steps", 0), "seconds": self.spent}

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _generations(self, interruption: Interruption) -> _Chunk:
        """Run a chunk."""
        chunk, processes = self._chunk.wait(self.bar, interruption), self.devices.processes
        if self.problem.host and self.now == self.start["generations"]:
            self.bar.say("starting worker processes")
        processes.meet()
        began = time.monotonic()
        length = min(self.length, self._until_stop(self.now))
        carry, told = chunk(self._carry, np.int32(length))
        computed(told)
        self._carry = jax.block_until_ready(carry)
        self.here, (info, fitness) = self.devices.here(self._carry), self.devices.here(told)
        took, seconds = processes.agree(time.monotonic() - began, self._clock())
        interruption.received = int(processes.most(interruption.received or 0)) or None
        self.now += length
        self.took += took
        self.length = max(1, round(length * min(self.chunk_seconds / took, 10.0)))
        return _Chunk(info, fitness, seconds, _totals(self.problem, self.here), interruption.received)

    def _evaluation(self, interruption: Interruption, stopped: str | None) -> jax.Array | None:
        """The scores, where it is time for them; and if they reach the target, whether fresh ones do so too."""
        self.confirmed = None
        if self._scores is None or not (self.now % self.evaluate_every == 0 or stopped):
            return None
        evaluate, agree = self._scores.wait(self.bar, interruption), self.devices.processes.agree
        scores = evaluate(self.here, keys.stream(self.key, Stream.EVALUATION))
        (self.score,) = agree(float(jnp.mean(scores)))
        if self.limits.hit(self.score):
            fresh = jax.random.fold_in(keys.stream(self.key, Stream.CONFIRMATION), self.now)
            means = [float(jnp.mean(evaluate(self.here, key))) for key in jax.random.split(fresh, CONFIRMATIONS)]
            (self.confirmed,) = agree(sum(means) / len(means))
        return scores

    def _outcome(self, scores: jax.Array | None) -> str:
        """How good the parameters are, in words."""
        if self.confirmed is not None and scores is not None:
            return f", score {self.confirmed:.4g} on {CONFIRMATIONS * scores.size} fresh episodes"
        return "" if self.score is None else f", score {self.score:.4g}"

    def _row(self, chunk: _Chunk, scores: jax.Array | None) -> dict[str, Any]:
        """A row of the metrics."""
        grown = {name: count - self._told[name] for name, count in chunk.totals.items()}
        row = {"generation": self.now, **chunk.totals, "seconds": round(self._clock(), 3), **_numbers(chunk.info)}
        row |= dict.fromkeys(COLUMNS) if scores is None else summary(scores, chunk.fitness)
        row["confirmation"] = self.confirmed
        row["steps_per_second"] = round(grown["steps"] / self.took, 1) if chunk.totals.get("steps") else None
        for name, (above, below) in self.problem.ratios.items():
            row[name] = round(grown[above] / grown[below], 4) if grown[below] else None
        return row

    def _keep(self, row: dict[str, Any] | None, at_once: bool) -> None:
        """Write the row, if there is one, and a checkpoint if it is time for one."""
        if self.folder is None:
            return
        if row is not None:
            self.folder.write(row)
        if at_once or self._clock() - self._saved_at > self.checkpoint_seconds:
            self.folder.save(self.here, self._clock(), self.strategy.recommend)
            self._saved_at = self._clock()

    def _interrupted(self, interruption: Interruption) -> Interrupted:
        """What is raised for a signal, which another process may have received."""
        if self.folder is not None:
            kept = f"saved in {self.folder.path}: the same call with resume=True goes on"
        else:
            kept = "not saved, since no folder was given as out" if self.devices.processes.first else ""
        return Interrupted(self.now, interruption.received or int(signal.SIGINT), kept)

    def _has_nothing_to_save(self) -> bool:
        """Whether the first signal may end the run where it is; of several processes, none must leave the others."""
        return self.now == self.start["generations"] and self.devices.processes.count == 1

    def _is_due(self) -> bool:
        """Whether a report is due after this generation."""
        return self.report_every is None or self.now % self.report_every == 0

    def _until_stop(self, now: int) -> int:
        """Generations until the next one that a chunk must end with."""
        regular = [] if self.scores is None else [self.evaluate_every]
        regular += [] if self.report_every is None else [self.report_every]
        ends = [every - now % every for every in regular]
        if self.limits.generations is not None:
            ends.append(self.limits.generations - now)
        return min(ends, default=10**9)


def _patiently(tell: Callable[[float], None], every: float = 1.0) -> Callable[[float], None]:
    """The same function, called at most once in `every` seconds."""
    told = time.monotonic()

    def now_and_then(share: float) -> None:
        nonlocal told
        if time.monotonic() - told > every:
            tell(share)
            told = time.monotonic()

    return now_and_then


def _totals(problem: Problem, carry: Any) -> dict[str, int]:
    """What the problem has counted so far."""
    return {name: int(count) for name, count in problem.counters(carry[1]).items()}


def _numbers(info: Info) -> dict[str, Any]:
    numbers = jax.device_get(info)._asdict()
    return {name: None if value is None else value.item() for name, value in numbers.items()}


def _rounded(value: float | None) -> float | None:
    """Four digits, for a person."""
    return None if value is None else float(f"{value:.4g}")
