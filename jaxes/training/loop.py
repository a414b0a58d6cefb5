"""The training loop: compiled chunks of generations, and between them everything that Python has to do."""

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes import parallel
from jaxes.parallel import Comm, Processes
from jaxes.problem import Problem, generation_with_fitness
from jaxes.strategy import Info, Strategy
from jaxes.support import checks, keys
from jaxes.support.keys import Stream
from jaxes.support.progress import Progress
from jaxes.training.interruption import Interrupted, Interruption

Evaluate = Callable[[Any, Any, jax.Array], jax.Array]
EVALUATED = ("evaluation", "evaluation_std", "evaluation_rank")


@dataclasses.dataclass(frozen=True)
class Report:
    """A run after one chunk of generations."""

    generation: int  # generations so far
    seconds: float  # of training so far, compiling and evaluation included
    info: Info  # of the last generation, as Python numbers
    evaluation: float | None  # mean score of the recommended parameters, None where there was no evaluation
    metrics: dict[str, Any]  # the row of metrics.jsonl
    state: Any  # of the strategy
    problem_state: Any
    params: Any  # recommended
    stopped: str | None  # which limit ended the run ("generations", "steps", "seconds", "target"), None if none has


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop, whichever comes first; totals over all sessions of a run."""

    generations: int | None = None
    steps: int | None = None
    seconds: float | None = None
    target: float | None = None

    def reached(self, generation: int, steps: int, seconds: float) -> str | None:
        """The name of a limit that these totals reach."""
        for name, now in (("generations", generation), ("steps", steps), ("seconds", seconds)):
            limit = getattr(self, name)
            if limit is not None and now >= limit:
                return name
        return None

    def lengths(self) -> dict[str, float]:
        """The limits that say how long a run is."""
        every = {name: getattr(self, name) for name in ("generations", "steps", "seconds")}
        return {name: limit for name, limit in every.items() if limit is not None}


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

    The length of a chunk is a traced number, chosen so that it takes about `chunk_seconds`; one executable serves all
    lengths, and the numbers do not depend on it, nor on where a run was interrupted and resumed.

    Args:
        strategy: what to run.
        problem: what to run it on.
        params: where to start: a tree of float arrays.
        key: one typed key, of all randomness.
        generations: stop after that many; likewise `steps` (counted by the problem), `seconds` (compiling included) and
            `target` (a score of `evaluate`). Without any limit it goes on until you stop iterating.
        evaluate: `(params, problem_state, key) -> float[episodes]`: scores of the recommended parameters; goes
            through `jit`; the key is the same every time and no member ever has it.
        evaluate_every: generations between two evaluations; there is one at the end in any case.
        out: a folder for checkpoints, metrics, TensorBoard events and `reward.png`; None writes nothing.
        resume: go on from the newest checkpoint in `out`.
        progress: show a bar.
        title: stands before it.
        chunk_seconds: the time between two reports to aim at.
        checkpoint_seconds: the least time between two checkpoints; there is one at the end, and when interrupted.
        mesh: spread the population over its axis "population" (`jaxes.parallel.mesh`), sending `comm`, see
            `jaxes.parallel.spread`. A run may be resumed on another number of devices.
        block_by_block: the same bits on any number of devices of any kind (`jaxes.parallel.block_by_block`), which
            takes the devices of the mesh.
        processes: from `jaxes.parallel.join`, where several processes run this same program on one mesh: the first one
            writes `out`, shows progress and keeps the time; all of them report.

    Yields:
        A `Report` for each chunk. Its metrics: `generation`, `seconds`, the problem's totals (of a rollout `steps`,
        `episodes`, `truncated`, `lane_steps`), the `Info` of the last generation, `evaluation`, its standard deviation
        and its rank (the share of the last generation's members whose fitness is below an evaluation episode's score;
        fitness has shift, bonus, noise and cap in it where there are any), `steps_per_second`, and the problem's
        ratios over the chunk (of a rollout `episode_length`, `truncated_share`, `utilization`).

    Raises:
        FileExistsError, FileNotFoundError, OSError, ValueError: before any work, if `out` holds a run already, holds
            none to resume, cannot be written, or its checkpoint was made with other settings.
        Interrupted: (a `KeyboardInterrupt`) after Ctrl-C or SIGTERM, when the checkpoint is written.

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
    where = _Where(mesh, comm, block_by_block, processes, problem)
    run = _Run(strategy, problem, evaluate, evaluation_key, limits, evaluate_every, where)
    carry, spent, folder = (state, problem_state), 0.0, None
    if out is not None:
        folder, carry, spent = _opened(Path(out), carry, resume, processes)
        reached = limits.reached(int(carry[0].step), _steps(problem, carry[1]), spent)
        if reached is not None:
            raise ValueError(
                f"{out} has reached its limit of {getattr(limits, reached)} {reached}: give a higher one to go on"
            )
    elif resume:
        raise ValueError("resume needs out: the folder of the run to go on with")
    bar = Progress(title, limits.lengths(), progress and processes.first)
    return run.reports(carry, spent, folder, bar, chunk_seconds, checkpoint_seconds)


class _Where(NamedTuple):
    """On which devices, and how."""

    mesh: jax.sharding.Mesh | None
    comm: Comm
    block_by_block: bool
    processes: Processes
    problem: Problem

    def check(self) -> None:
        if self.mesh is None:
            if self.processes.count > 1 or self.block_by_block:
                raise ValueError(
                    "several processes, or one executable for all devices, need a mesh: jaxes.parallel.mesh()"
                )
        elif self.problem.host:
            raise ValueError(
                "mesh is for problems that run in compiled programs; this one is played by worker processes"
            )
        elif self.block_by_block and self.processes.count > 1:
            raise ValueError("block_by_block takes the devices of one process, and there are several")

    def everywhere(self, carry: Any) -> Any:
        """From one device to all."""
        return carry if self.mesh is None or self.block_by_block else parallel.replicated(carry, self.mesh)

    def here(self, carry: Any) -> Any:
        """From all devices to one of this process."""
        return carry if self.mesh is None or self.block_by_block else parallel.local(carry)


class _Run:
    """The parts of a run that do not change."""

    def __init__(self, strategy, problem, evaluate, evaluation_key, limits, evaluate_every, where):
        self.strategy, self.problem, self.limits, self.evaluate_every = strategy, problem, limits, evaluate_every
        where.check()
        self.where, self.processes = where, where.processes
        in_python = problem.host or where.block_by_block
        if where.block_by_block:
            once = parallel.block_by_block(strategy, problem, list(where.mesh.devices.flat))
        else:
            once = generation_with_fitness(strategy, problem, where.comm)
        step = once if in_python else jax.jit(once)  # so that it is traced once

        def chunk(carry, length):
            seen = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(step, carry)[1])
            return jax.lax.fori_loop(0, length, lambda _, c: step(c[0]), (carry, seen))

        def chunk_in_python(carry, length):
            carry, seen = step(carry)
            for _ in range(1, int(length)):
                carry, seen = step(carry)
            return carry, seen

        if where.mesh is not None and not in_python:
            chunk = parallel.spread(chunk, where.mesh)
        self.chunk = chunk_in_python if in_python else jax.jit(chunk)
        self.evaluate = None
        if evaluate is not None:
            score = lambda carry: evaluate(strategy.recommend(carry[0]), carry[1], evaluation_key)
            self.evaluate = score if problem.host else jax.jit(score)

    def reports(self, carry, spent, folder, bar, chunk_seconds, checkpoint_seconds) -> Iterator[Report]:
        interruption = Interruption()
        began = time.monotonic() - spent
        clock = lambda: time.monotonic() - began
        length, score, saved_at = 1, None, clock()
        here, carry = carry, self.where.everywhere(carry)  # on one device, and on all
        compiled = {"chunk": _Compiling(self.chunk, carry, np.int32(1))}
        if self.evaluate is not None:
            compiled["evaluate"] = _Compiling(self.evaluate, here)
        if folder is not None:
            folder.open()
        if self.problem.listen is not None:
            self.problem.listen(_patiently(bar.part))
        start = {"generations": int(here[0].step), "steps": _steps(self.problem, here[1]), "seconds": spent}
        now, text = start["generations"], ""
        try:
            while True:
                with interruption:
                    chunk = compiled["chunk"].wait(bar, interruption)
                    if self.problem.host and length == 1:
                        bar.say("starting worker processes")
                    self.processes.meet()
                    before, chunk_began = _totals(self.problem, here[1]), time.monotonic()
                    length = min(length, self._until_evaluation(now))
                    carry, told = jax.block_until_ready(chunk(carry, np.int32(length)))
                    here, (info, fitness) = self.where.here(carry), self.where.here(told)
                    took, seconds = self.processes.agree(time.monotonic() - chunk_began, clock())
                    received = int(self.processes.most(interruption.received or 0))
                    now += length
                    totals = _totals(self.problem, here[1])
                    grown = {name: count - before[name] for name, count in totals.items()}
                    steps = totals.get("steps", 0)
                    stopped = self.limits.reached(now, steps, seconds)
                    scores = None
                    if self.evaluate is not None and (now % self.evaluate_every == 0 or stopped):
                        scores = compiled["evaluate"].wait(bar, interruption)(here)
                        (score,) = self.processes.agree(float(jnp.mean(scores)))
                        if self.limits.target is not None and score >= self.limits.target:
                            stopped = "target"
                    row = {"generation": now, **totals, "seconds": round(clock(), 3), **_numbers(info)}
                    row |= dict.fromkeys(EVALUATED) if scores is None else _evaluated(scores, fitness)
                    row["steps_per_second"] = round(grown["steps"] / took, 1) if steps else None
                    for name, (above, below) in self.problem.ratios.items():
                        row[name] = round(grown[above] / grown[below], 4) if grown[below] else None
                    bar.show(row, score, start)
                    length = max(1, round(length * min(chunk_seconds / took, 10.0)))
                    if folder is not None:
                        folder.write(row)
                        if stopped or received or clock() - saved_at > checkpoint_seconds:
                            folder.save(here, clock())
                            saved_at = clock()
                recommended = self.strategy.recommend(here[0])
                if received:
                    text = f"interrupted at generation {now}"
                    raise Interrupted(now, received)
                if stopped:
                    text = f"{stopped} reached at generation {now}" + (
                        f", score {score:.4g}" if score is not None else ""
                    )
                    bar.close(text)
                yield Report(
                    now,
                    row["seconds"],
                    Info(**_numbers(info)),
                    row["evaluation"],
                    row,
                    here[0],
                    here[1],
                    recommended,
                    stopped,
                )
                if stopped:
                    return
        finally:
            bar.close(text)
            if folder is not None:
                if now > start["generations"]:
                    folder.save(here, clock())
                folder.close()

    def _until_evaluation(self, now: int) -> int:
        """Generations until the next one that a chunk must end with."""
        ends = [self.evaluate_every - now % self.evaluate_every] if self.evaluate is not None else []
        if self.limits.generations is not None:
            ends.append(self.limits.generations - now)
        return min(ends, default=10**9)


def _patiently(tell: Callable[[float], None], every: float = 1.0) -> Callable[[float], None]:
    """The same, called at most once in so many seconds."""
    told = time.monotonic()

    def now_and_then(share: float) -> None:
        nonlocal told
        if time.monotonic() - told > every:
            tell(share)
            told = time.monotonic()

    return now_and_then


class _Compiling:
    """A jitted function that is compiled in the background for these arguments; a plain one is there at once."""

    def __init__(self, function, *args):
        lowered = function.lower(*args) if hasattr(function, "lower") else _Plain(function)
        self._result: Any = None
        self._error: BaseException | None = None

        def work():
            try:
                self._result = lowered.compile()
            except BaseException as error:
                self._error = error

        self._began = time.monotonic()
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def wait(self, bar: Progress, interruption: Interruption) -> Callable:
        """The compiled function; tells the person meanwhile, and stops when interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)
            if self._thread.is_alive():
                bar.say(f"compiling, {time.monotonic() - self._began:.0f} s")
            if interruption.received:
                raise KeyboardInterrupt
        if self._error is not None:
            raise self._error
        return self._result


class _Plain(NamedTuple):
    function: Callable

    def compile(self) -> Callable:
        return self.function


def _opened(path: Path, carry: Any, resume: bool, processes: Processes) -> tuple["_Folder | None", Any, float]:
    """The run's folder where this process writes it, and what all of them begin with."""
    folder, fault = None, None
    if processes.first:
        try:
            folder = _Folder(path, carry, resume)
            carry = folder.carry
        except (OSError, ValueError) as error:
            fault = error
    processes.meet()
    found, seconds = processes.agree(float(fault is None), 0.0 if folder is None else folder.seconds)
    if fault is not None:
        raise fault
    if not found:
        raise OSError(f"process 0 cannot use {path}: its own message says why")
    return folder, processes.broadcast(carry), seconds


class _Folder:
    """Where a run is kept. Everything that can go wrong with it is found out here, before any long work."""

    def __init__(self, path: Path, carry: Any, resume: bool):
        self.path, self.carry, self.seconds = path, carry, 0.0
        held = path / "checkpoints"
        if resume and not held.is_dir():
            raise FileNotFoundError(f"{path} holds no run to resume: it has no checkpoints folder")
        if not resume and held.is_dir() and any(held.iterdir()):
            raise FileExistsError(f"{path} holds a run already: resume it, or name another folder")
        _probe(path, 3 * sum(x.nbytes for x in jax.tree.leaves(carry)) + 2**16)
        from jaxes.training.checkpoint import Checkpoints

        self._checkpoints = Checkpoints(held)
        self._recorder: Any = None
        if resume:
            if self._checkpoints.latest is None:
                raise FileNotFoundError(f"{path} holds no run to resume: no checkpoint was completed")
            tree = self._checkpoints.load(self._tree(carry, 0.0))
            self.carry, self.seconds = (tree["state"], tree["problem_state"]), float(tree["seconds"])

    def open(self) -> None:
        from jaxes.training.metrics import Recorder

        self._recorder = Recorder(self.path, after=int(self.carry[0].step))

    def write(self, row: dict[str, Any]) -> None:
        self._recorder.write(row)

    def save(self, carry: Any, seconds: float) -> None:
        self._checkpoints.save(int(carry[0].step), self._tree(carry, seconds))

    def close(self) -> None:
        from jaxes.training import plots

        if self._recorder is not None:
            self._recorder.close()
            if self._recorder.rows:
                plots.reward(self.path)
        self._checkpoints.close()

    @staticmethod
    def _tree(carry: Any, seconds: float) -> dict[str, Any]:
        return {"state": carry[0], "problem_state": carry[1], "seconds": jnp.float32(seconds)}


def _probe(path: Path, size: int) -> None:
    """Raise OSError unless `size` bytes can be written into the folder `path`, which is created."""
    scratch = path / ".probe"
    try:
        path.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.open("wb") as file:
                file.write(b"\0" * size)
                file.flush()
                os.fsync(file.fileno())
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            error.errno, f"cannot write {size / 2**20:.1f} MiB of checkpoints into {path}: {reason}"
        ) from None


def _totals(problem: Problem, problem_state: Any) -> dict[str, int]:
    return {name: int(count) for name, count in problem.counters(problem_state).items()}


def _steps(problem: Problem, problem_state: Any) -> int:
    return _totals(problem, problem_state).get("steps", 0)


def _numbers(info: Info) -> dict[str, Any]:
    return {name: value.item() for name, value in jax.device_get(info)._asdict().items()}


def _evaluated(scores: jax.Array, fitness: jax.Array) -> dict[str, float]:
    """The columns `EVALUATED`; the rank is that of an episode's score among the members, as OpenAI's EvalPopRank is."""
    ordered = np.sort(fitness)  # NaN last
    valid = ordered[: np.count_nonzero(~np.isnan(ordered))]
    below = np.where(np.isnan(scores), 0, np.searchsorted(valid, scores) + len(ordered) - len(valid))
    figures = float(jnp.mean(scores)), float(jnp.std(scores)), float(np.mean(below)) / len(ordered)
    return dict(zip(EVALUATED, figures, strict=True))
