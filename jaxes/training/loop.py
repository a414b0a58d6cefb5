"""The training loop: compiled chunks of generations, and between them everything that Python has to do."""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.problem import Problem
from jaxes.strategy import Info, Strategy
from jaxes.support import keys
from jaxes.support.keys import Stream
from jaxes.support.progress import Progress
from jaxes.training.compiling import Compiling, computed
from jaxes.training.devices import Devices
from jaxes.training.evaluating import COLUMNS, CONFIRMATIONS, confirmation, summary
from jaxes.training.folder import Folder
from jaxes.training.interruption import Interrupted, Interruption
from jaxes.training.limits import Limits
from jaxes.training.report import Report


class Chunk(NamedTuple):
    """The results of a chunk of generations."""

    info: Info  # of the last one
    fitness: jax.Array  # of the last one
    seconds: float  # of the run so far
    totals: dict[str, int]  # the problem's counters
    signal: int | None  # that asks the run to stop


@dataclasses.dataclass
class Run:
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
                        self.bar.show(row, self.score, self._waited())
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
                report = self._report(chunk, row, stopped)
                if stopped:
                    text = f"{self.limits.told(stopped, self.now)}{self._outcome(scores)}{self._spent()}"
                    self.bar.close(text)
                yield report
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
                since = time.monotonic()
                self._chunk = Compiling(self.chunk, self._carry, np.int32(1), since=since, bar=self.bar)
                self._scores = None
                if self.scores is not None:
                    self._scores = Compiling(self.scores, self.here, self.key, since=since, bar=self.bar)
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
        self._told = totals(self.problem, self.here)
        self.start = {"generations": self.now, "steps": self._told.get("steps", 0), "seconds": self.spent}

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _generations(self, interruption: Interruption) -> Chunk:
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
        return Chunk(info, fitness, seconds, totals(self.problem, self.here), interruption.received)

    def _evaluation(self, interruption: Interruption, stopped: str | None) -> jax.Array | None:
        """The scores, where it is time for them; and if they reach the target, whether fresh ones do so too."""
        self.confirmed = None
        if self._scores is None or not (self.now % self.evaluate_every == 0 or stopped):
            return None
        evaluate, agree = self._scores.wait(self.bar, interruption), self.devices.processes.agree
        scores = evaluate(self.here, keys.stream(self.key, Stream.EVALUATION))
        (self.score,) = agree(float(jnp.mean(scores)))
        if self.limits.hit(self.score):
            (self.confirmed,) = agree(confirmation(evaluate, self.here, self.key, self.now))
        return scores

    def _outcome(self, scores: jax.Array | None) -> str:
        """How good the parameters are, in words."""
        if self.confirmed is not None and scores is not None:
            return f", score {self.confirmed:.4g} on {CONFIRMATIONS * scores.size} fresh episodes"
        return "" if self.score is None else f", score {self.score:.4g}"

    def _waited(self) -> float:
        """Seconds of waiting for compilers."""
        return self._chunk.waited + (0.0 if self._scores is None else self._scores.waited)

    def _spent(self) -> str:
        """How long this part of the run took, in words, where compiling was much of it."""
        waited = self._waited()
        return f" ({self._clock() - self.spent:.0f} s, {waited:.0f} s of them compiling)" if waited >= 1 else ""

    def _row(self, chunk: Chunk, scores: jax.Array | None) -> dict[str, Any]:
        """A row of the metrics."""
        grown = {name: count - self._told[name] for name, count in chunk.totals.items()}
        row = {"generation": self.now, **chunk.totals, "seconds": round(self._clock(), 3), **_numbers(chunk.info)}
        row |= dict.fromkeys(COLUMNS) if scores is None else summary(scores, chunk.fitness)
        row["confirmation"] = self.confirmed
        row["steps_per_second"] = round(grown["steps"] / self.took, 1) if chunk.totals.get("steps") else None
        for name, (above, below) in self.problem.ratios.items():
            row[name] = round(grown[above] / grown[below], 4) if grown[below] else None
        return row

    def _report(self, chunk: Chunk, row: dict[str, Any], stopped: str | None) -> Report:
        state, problem_state = self.here
        return Report(
            generation=self.now,
            seconds=row["seconds"],
            info=Info(**_numbers(chunk.info)),
            evaluation=row["evaluation"],
            confirmation=row["confirmation"],
            metrics=row,
            state=state,
            problem_state=problem_state,
            params=self.strategy.recommend(state),
            stopped=stopped,
            folder=None if self.folder is None else self.folder.path,
        )

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


def totals(problem: Problem, carry: Any) -> dict[str, int]:
    """What the problem has counted so far."""
    return {name: int(count) for name, count in problem.counters(carry[1]).items()}


def _numbers(info: Info) -> dict[str, Any]:
    numbers = jax.device_get(info)._asdict()
    return {name: None if value is None else value.item() for name, value in numbers.items()}
