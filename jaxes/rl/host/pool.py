"""Workers that are started once, given jobs, watched, and replaced when they are lost."""

import atexit
import pickle
import pickletools
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxes.envs.protocol import Env
from jaxes.rl.host.here import Here
from jaxes.rl.host.player import Job, Results
from jaxes.rl.host.programs import Program
from jaxes.rl.host.worker import Worker

RETRIES = 3  # workers that may be lost in a job before it is given up


class Pool:
    """Workers that play one environment.

    Args:
        env: has `lanes`.
        workers: how many; None for the launcher's default, 0 to play in this process.
        lanes: how many members each worker plays at once.
        launcher: starts the workers: `Here()`, or a `jaxes.rl.host.fleet.Fleet`.
        patience: seconds without a sign of life after which a worker is given up.
    """

    def __init__(self, env: Env, workers: int | None, lanes: int, launcher: Any = None, patience: float = 120.0):
        self.env, self.lanes, self.patience = env, lanes, patience
        self.launcher = Here() if launcher is None else launcher
        self.workers: list[Any] = []
        self.idle = 0.0
        """The share of the last job's time in which workers had nothing to play."""
        self.acting = 0.0
        """The share of their playing time that the policy took."""
        self.lost = 0
        """Workers that died or were given up so far."""
        self._programs: list[Program] = []
        self._local = Worker(env.lanes, lanes) if workers == 0 else None
        self._wanted = self.launcher.default() if workers is None else workers
        atexit.register(_close, weakref.ref(self))

    def start(self) -> None:
        """Start the workers, without waiting for them."""
        missing = self._wanted - len(self.workers)
        if missing > 0:
            least = 0 if self.workers else 1
            for _ in range(min(missing, max(self.launcher.room(), least))):
                self.workers.append(self.launcher.new(pickled(self.env), self.lanes))

    def load(self, program: Program) -> int:
        """Give all workers a program; the number that it has from now on."""
        self._programs.append(program)
        if self._local is not None:
            self._local.load(len(self._programs) - 1, program)
        else:
            self.teach()
        return len(self._programs) - 1

    def play(self, number: int, job: Job, tell: Callable[[float], None] = lambda share: None) -> Results:
        """Play all slots of a job; the results in the order of the slots.

        Args:
            number: of the program, from `load`.
            job: what to play.
            tell: is called every second or so with the share of the slots that have been played.

        Raises:
            RuntimeError: if a worker fails (with its traceback), or too many of them are lost.
        """
        count = len(job.seeds)
        if self._local is not None:
            return _in_order(_alone(self._local, number, job, tell), count)
        try:
            self.teach()
            dealt = _Round(self, number, job)
            return _in_order(dealt.play(tell), count)
        except BaseException:
            self.close()  # what they would still answer is wanted no more
            raise

    def close(self) -> None:
        """End all workers; they start again when they are needed."""
        for worker in self.workers:
            worker.close()
        self.workers = []

    def teach(self) -> None:
        """Start the workers that are missing, and give every worker the programs that it does not have."""
        self.start()
        behind = [worker for worker in self.workers if worker.loaded < len(self._programs)]
        for worker in behind:
            for number in range(worker.loaded, len(self._programs)):
                worker.send("load", number, self._programs[number])
        for worker in behind:
            while worker.loaded < len(self._programs):
                self.answer(worker)
                worker.loaded += 1

    def answer(self, worker: Any) -> Any:
        """Wait for the answer of a worker that is not playing."""
        try:
            return worker.receive()
        except EOFError:
            raise RuntimeError(f"a worker of {self.env.name} died at the start ({worker.close()})") from None


def pickled(env: Env) -> bytes:
    """The lanes of an environment as other processes get them.

    Raises:
        ValueError: if they cannot be sent, or other processes could not make them.
    """
    try:
        sent = pickle.dumps(env.lanes)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"the lanes of {env.name} must be a module's function or a functools.partial of one, so that "
            f"other processes can make them ({error}); workers=0 plays in this process"
        ) from None
    names = [str(name) for _, name, _ in pickletools.genops(sent) if isinstance(name, str)]
    if any(name.partition(":")[0].partition(" ")[0] == "__main__" for name in names):
        raise ValueError(
            f"{env.name} is made by what your own script defines, and worker processes do not run that script: put it "
            "into a module and import it (an id of gymnasium may be given as 'gymnasium/module:Name-v0'), or give "
            "workers=0 to play in this process"
        )
    return sent


class _Round:
    """One job, whose slots are dealt out to the workers of a pool."""

    def __init__(self, pool: Pool, number: int, job: Job):
        self._pool, self._number, self._job = pool, number, pool.launcher.share(job)
        self._count = len(job.seeds)
        self._waiting = deque(range(self._count))
        self._ended: list[Results] = []
        self._holding: dict[Any, set[int]] = {}  # slots that a worker has
        self._left: dict[Any, int] = {}  # how many of them it had not ended at its last answer
        self._asked: dict[Any, float] = {}  # when a worker was told to play
        self._clocks: dict[Any, tuple[float, float]] = {}  # its seconds in the policy, and in all
        self._lost = 0

    def play(self, tell: Callable[[float], None]) -> list[Results]:
        began = time.perf_counter()
        self._employ(self._pool.workers)
        while (ended := sum(len(part.slots) for part in self._ended)) < self._count:
            tell(ended / self._count)
            playing = list(self._asked)
            ready = self._pool.launcher.wait(playing, timeout=1.0)
            for worker in playing:
                if worker in ready:
                    self._hear(worker)
                elif time.monotonic() - self._asked[worker] > self._pool.patience:
                    self._lose(worker, f"was silent for {self._pool.patience:g} s")
            for worker in self._pool.workers:  # to idle workers, the slots of lost ones
                if worker not in self._asked and self._waiting:
                    self._deal(worker)
        wall = (time.perf_counter() - began) * max(1, len(self._clocks))
        playing = sum(seconds for _, seconds in self._clocks.values())
        self._pool.idle = max(0.0, 1 - playing / wall)
        self._pool.acting = sum(acting for acting, _ in self._clocks.values()) / max(playing, 1e-9)
        return self._ended

    def _employ(self, workers: list[Any]) -> None:
        for worker in workers:
            self._holding[worker], self._left[worker] = set(), 0
            worker.send("begin", self._number, self._job)
        for worker in workers:
            self._pool.answer(worker)
        for worker in workers:
            self._deal(worker)

    def _deal(self, worker: Any) -> None:
        """Give a worker enough slots to keep all its lanes busy, but no more than its part of what is left."""
        lanes, idle = self._pool.lanes, [one for one in self._pool.workers if one not in self._asked]
        others = len(idle) if not self._ended else len(self._pool.workers)
        room = max(lanes + lanes // 4 - self._left[worker], 0)
        some = [self._waiting.popleft() for _ in range(min(room, -(-len(self._waiting) // max(others, 1))))]
        self._holding[worker].update(some)
        self._asked[worker] = time.monotonic()
        worker.send("play", some, bool(self._waiting))

    def _hear(self, worker: Any) -> None:
        try:
            results, self._left[worker], self._clocks[worker] = worker.receive()
        except EOFError:
            self._lose(worker, "died")
            return
        del self._asked[worker]
        self._ended.append(results)
        self._holding[worker].difference_update(results.slots.tolist())
        if self._left[worker] or self._waiting:
            self._deal(worker)

    def _lose(self, worker: Any, reason: str) -> None:
        """Take back the slots of a worker, and start another worker."""
        self._lost += 1
        self._pool.lost += 1
        self._waiting.extendleft(sorted(self._holding.pop(worker), reverse=True))
        del self._asked[worker]
        self._pool.workers.remove(worker)
        ending = worker.close()
        if self._lost > RETRIES:
            name = self._pool.env.name
            raise RuntimeError(f"{self._lost} workers of {name} were lost; the last one {reason} ({ending})")
        before = set(self._pool.workers)
        self._pool.teach()
        self._employ([one for one in self._pool.workers if one not in before])


def _alone(worker: Worker, number: int, job: Job, tell: Callable[[float], None]) -> list[Results]:
    """Play in this process."""
    worker.begin(number, job)
    slots, parts, left = list(range(len(job.seeds))), [], 1
    while left:
        results, left, _ = worker.play(slots, False)
        slots = []
        parts.append(results)
        tell(sum(len(part.slots) for part in parts) / len(job.seeds))
    return parts


def _close(reference: Any) -> None:
    pool = reference()
    if pool is not None:
        pool.close()


def _in_order(parts: list[Results], count: int) -> Results:
    joined = Results(*jax.tree.map(lambda *x: np.concatenate(x), *parts))
    order = np.argsort(joined.slots)
    assert len(order) == count
    return jax.tree.map(lambda x: x[order], joined)
