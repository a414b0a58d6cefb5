"""The training loop: compiled chunks of generations, and between them everything that Python has to do."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.parallel import Comm, Processes
from jaxes.problem import Problem
from jaxes.strategy import Info, Strategy
from jaxes.support import checks, keys
from jaxes.support.keys import Stream
from jaxes.support.progress import Progress
from jaxes.training.compiling import Compiling
from jaxes.training.devices import Devices
from jaxes.training.evaluating import COLUMNS, Evaluate, scoring, summary
from jaxes.training.folder import Folder, opened
from jaxes.training.interruption import Interrupted, Interruption
from jaxes.training.limits import Limits


@dataclasses.dataclass(frozen=True)
class Report:
    """A run after a chunk of generations."""

    generation: int  # generations so far
    seconds: float  # of training so far, compiling and evaluation included
    info: Info  # of the last generation, as Python numbers
    evaluation: float | None  # mean score of the recommended parameters, None without an evaluation
    metrics: dict[str, Any]  # the row of metrics.jsonl
    state: Any  # of the strategy
    problem_state: Any
    params: Any  # the recommended ones
    stopped: str | None  # the limit that ended the run: "generations", "steps", "seconds" or "target"; else None


def fit(
    strategy: Strategy,
    problem: Problem,
    params: Any,
    *,
    key: jax.Array,
    generations: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    target: float | None = None,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 10,
    out: str | Path | None = None,
    resume: bool = False,
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
        problem: what to run it on.
        params: where to start: a tree of float arrays.
        key: one typed key, from which all randomness is derived.
        generations: stop after this many generations. Without any limit the run goes on until you stop iterating.
        steps: stop after this many steps, which the problem must count.
        seconds: stop after this many seconds, with compiling included.
        target: stop when the mean score of an evaluation reaches this.
        evaluate: `(params, problem_state, key) -> float[episodes]`: the scores of the recommended parameters. It is
            jitted. The key is the same every time, and no member's key is derived from it.
        evaluate_every: generations between two evaluations; there is always one at the end.
        out: a folder for checkpoints, metrics, TensorBoard events and `reward.png`; with None nothing is written.
        resume: whether to go on from the newest checkpoint in `out`.
        progress: whether to show a bar.
        title: the text before the bar.
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
        `evaluation_std`, `evaluation_rank`, `steps_per_second`, and the problem's ratios over the chunk
        (`episode_length`, `truncated_share` and `utilization` of a rollout). The rank is the share of the last
        generation's members whose fitness is below the score of an evaluation episode, on average over the episodes;
        note that fitness may have a shift, a bonus, noise and a cap in it.

    Raises:
        FileExistsError: before any work, if `out` holds a run already.
        FileNotFoundError: before any work, if `out` holds no run to resume.
        OSError: before any work, if `out` cannot be written.
        ValueError: before any work, if arguments do not fit each other, or the checkpoint was made with other settings.
        Interrupted: (a `KeyboardInterrupt`) after Ctrl-C or SIGTERM, when the checkpoint has been written.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> sphere = jaxes.problem(lambda x: -jnp.sum(x**2))
    >>> options = {"key": jax.random.key(0), "generations": 20, "progress": False}
    >>> for report in jaxes.fit(jaxes.open_es(16), sphere, jnp.ones(3), **options):
    ...     pass
    >>> report.generation, report.stopped
    (20, 'generations')
    """
    limits = Limits(generations, steps, seconds, target)
    if target is not None and evaluate is None:
        raise ValueError("target is a score of evaluate, so evaluate must be given")
    if evaluate_every < 1:
        raise ValueError(f"evaluate_every must be 1 or more, got {evaluate_every}")
    key = checks.key(key)
    state = strategy.init(keys.stream(key, Stream.STRATEGY), params)
    problem_state = problem.init(keys.stream(key, Stream.TASK))
    evaluation_key = keys.stream(key, Stream.EVALUATION)
    if steps is not None and "steps" not in problem.counters(problem_state):
        raise ValueError("steps needs a problem that counts them, such as jaxes.rl.rollout")
    processes = Processes() if processes is None else processes
    devices = Devices(mesh, comm, block_by_block, processes)
    devices.check(problem)
    chunk = devices.chunk(strategy, problem)
    carry, spent, folder = (state, problem_state), 0.0, None
    if out is not None:
        folder, carry, spent = opened(Path(out), carry, resume, processes)
        reached = limits.reached(int(carry[0].step), _totals(problem, carry).get("steps", 0), spent)
        if reached is not None:
            raise ValueError(
                f"{out} has reached its limit of {getattr(limits, reached)} {reached}: give a higher one to go on"
            )
    elif resume:
        raise ValueError("resume needs out: the folder of the run to go on with")
    run = _Run(
        strategy=strategy,
        problem=problem,
        chunk=chunk,
        scores=None if evaluate is None else scoring(strategy, problem, evaluate, evaluation_key),
        evaluate_every=evaluate_every,
        limits=limits,
        devices=devices,
        folder=folder,
        bar=Progress(title, limits.lengths(), progress and processes.first),
        chunk_seconds=chunk_seconds,
        checkpoint_seconds=checkpoint_seconds,
        here=carry,
        spent=spent,
    )
    return run.reports()


class _Chunk(NamedTuple):
    """The results of a chunk of generations."""

    info: Info  # of the last one
    fitness: jax.Array  # of the last one
    took: float  # seconds
    seconds: float  # of the run so far
    totals: dict[str, int]  # the problem's counters
    grown: dict[str, int]  # by how much the chunk has raised them
    signal: int  # that asks the run to stop, 0 for none


@dataclasses.dataclass
class _Run:
    """A run: the parts that stay the same, and how far it is."""

    strategy: Strategy
    problem: Problem
    chunk: Callable[[Any, Any], Any]
    scores: Callable[[Any], jax.Array] | None
    evaluate_every: int
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

    def reports(self) -> Iterator[Report]:
        """The loop. Whenever it is left, the run is saved."""
        self._begin()
        text, interruption = "", Interruption()
        try:
            while True:
                with interruption:
                    chunk = self._generations(interruption)
                    stopped = self.limits.reached(self.now, chunk.totals.get("steps", 0), chunk.seconds)
                    scores = self._evaluation(interruption, stopped)
                    if scores is not None and self.limits.hit(self.score):
                        stopped = "target"
                    row = self._row(chunk, scores)
                    self.bar.show(row, self.score, self.start)
                    self.length = max(1, round(self.length * min(self.chunk_seconds / chunk.took, 10.0)))
                    self._keep(row, at_once=bool(stopped or chunk.signal))
                recommended = self.strategy.recommend(self.here[0])
                if chunk.signal:
                    text = f"interrupted at generation {self.now}"
                    raise Interrupted(self.now, chunk.signal)
                if stopped:
                    score = "" if self.score is None else f", score {self.score:.4g}"
                    text = f"{stopped} reached at generation {self.now}{score}"
                    self.bar.close(text)
                state, problem_state = self.here
                yield Report(
                    generation=self.now,
                    seconds=row["seconds"],
                    info=Info(**_numbers(chunk.info)),
                    evaluation=row["evaluation"],
                    metrics=row,
                    state=state,
                    problem_state=problem_state,
                    params=recommended,
                    stopped=stopped,
                )
                if stopped:
                    return
        finally:
            self.bar.close(text)
            if self.folder is not None:
                if self.now > self.start["generations"]:
                    self.folder.save(self.here, self._clock())
                self.folder.close()

    def _begin(self) -> None:
        """Start the clock and the compilers."""
        self._began = time.monotonic() - self.spent
        self._saved_at = self._clock()
        self._carry = self.devices.everywhere(self.here)
        self._chunk = Compiling(self.chunk, self._carry, np.int32(1))
        self._scores = None if self.scores is None else Compiling(self.scores, self.here)
        if self.folder is not None:
            self.folder.open()
        if self.problem.listen is not None:
            self.problem.listen(_patiently(self.bar.part))
        self.now = int(self.here[0].step)
        """Generations so far."""
        steps = _totals(self.problem, self.here).get("steps", 0)
        self.start = {"generations": self.now, "steps": steps, "seconds": self.spent}

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _generations(self, interruption: Interruption) -> _Chunk:
        """Run a chunk."""
        chunk, processes = self._chunk.wait(self.bar, interruption), self.devices.processes
        if self.problem.host and self.length == 1:
            self.bar.say("starting worker processes")
        processes.meet()
        before, began = _totals(self.problem, self.here), time.monotonic()
        self.length = min(self.length, self._until_evaluation(self.now))
        self._carry, told = jax.block_until_ready(chunk(self._carry, np.int32(self.length)))
        self.here, (info, fitness) = self.devices.here(self._carry), self.devices.here(told)
        took, seconds = processes.agree(time.monotonic() - began, self._clock())
        signal = int(processes.most(interruption.received or 0))
        self.now += self.length
        totals = _totals(self.problem, self.here)
        grown = {name: count - before[name] for name, count in totals.items()}
        return _Chunk(info, fitness, took, seconds, totals, grown, signal)

    def _evaluation(self, interruption: Interruption, stopped: str | None) -> jax.Array | None:
        """The scores, where it is time for them."""
        if self._scores is None or not (self.now % self.evaluate_every == 0 or stopped):
            return None
        scores = self._scores.wait(self.bar, interruption)(self.here)
        (self.score,) = self.devices.processes.agree(float(jnp.mean(scores)))
        return scores

    def _row(self, chunk: _Chunk, scores: jax.Array | None) -> dict[str, Any]:
        """A row of the metrics."""
        grown = chunk.grown
        row = {"generation": self.now, **chunk.totals, "seconds": round(self._clock(), 3), **_numbers(chunk.info)}
        row |= dict.fromkeys(COLUMNS) if scores is None else summary(scores, chunk.fitness)
        row["steps_per_second"] = round(grown["steps"] / chunk.took, 1) if chunk.totals.get("steps") else None
        for name, (above, below) in self.problem.ratios.items():
            row[name] = round(grown[above] / grown[below], 4) if grown[below] else None
        return row

    def _keep(self, row: dict[str, Any], at_once: bool) -> None:
        """Write the row, and a checkpoint if it is time for one."""
        if self.folder is None:
            return
        self.folder.write(row)
        if at_once or self._clock() - self._saved_at > self.checkpoint_seconds:
            self.folder.save(self.here, self._clock())
            self._saved_at = self._clock()

    def _until_evaluation(self, now: int) -> int:
        """Generations until the next one that a chunk must end with."""
        ends = [self.evaluate_every - now % self.evaluate_every] if self.scores is not None else []
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
    return {name: value.item() for name, value in jax.device_get(info)._asdict().items()}
