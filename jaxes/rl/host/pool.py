"""Worker processes: started once, given jobs, watched, and replaced when they die."""

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import time
import weakref
from collections import deque
from multiprocessing import connection as connections
from typing import Any

import jax
import numpy as np

from jaxes.envs.protocol import Env
from jaxes.rl.host.player import Job, Results
from jaxes.rl.host.programs import Program
from jaxes.rl.host.worker import Worker

RETRIES = 3  # workers that may die in a job before it is given up


class Process:
    """A worker in a process of its own."""

    def __init__(self, lanes: bytes, count: int):
        ours, theirs = connections.Pipe()
        settings = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        settings["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        command = [sys.executable, "-m", "jaxes.rl.host.worker", str(theirs.fileno())]
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, **settings, "PYTHONPATH": paths}
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        self.connection, self.loaded = ours, 0
        """`loaded`: how many programs it knows."""
        self.send("make", sys.path, lanes, count)

    def send(self, name: str, *arguments: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died, which `receive` will tell
            self.connection.send((name, arguments))

    def receive(self) -> Any:
        """The next answer; raises EOFError if the process has died, RuntimeError if it failed."""
        try:
            state, answer = self.connection.recv()
        except (ConnectionResetError, BrokenPipeError, pickle.UnpicklingError):
            raise EOFError from None
        if state == "error":
            raise RuntimeError(f"a worker process failed:\n{answer}")
        return answer

    def close(self) -> int | None:
        """End it; its exit status."""
        self.connection.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._process.wait()


class Pool:
    """Workers that play one environment.

    Args:
        env: with lanes.
        workers: processes; 0 plays in this one.
        lanes: members that each of them plays at once.
        patience: seconds without a sign of life after which a worker is replaced.
    """

    def __init__(self, env: Env, workers: int, lanes: int, patience: float = 120.0):
        self.lanes, self.idle = lanes, 0.0
        """`idle`: the share of the last job's time in which workers had nothing to play."""
        self.acting = 0.0
        """The share of the playing time of the last job that the policy took."""
        self._env, self._patience = env, patience
        self._programs: list[Program] = []
        self._local = Worker(env.lanes, lanes) if workers == 0 else None
        self._wanted = workers
        self._processes: list[Process] = []
        atexit.register(_close, weakref.ref(self))

    def start(self) -> None:
        """Start the workers, without waiting for them."""
        while len(self._processes) < self._wanted:
            self._processes.append(self._new())

    def load(self, program: Program) -> int:
        """Give all workers a program; its number."""
        self._programs.append(program)
        number = len(self._programs) - 1
        if self._local is not None:
            self._local.load(number, program)
            return number
        self._teach()
        return number

    def play(self, number: int, job: Job) -> Results:
        """Play all places of a job; the results in the order of the places.

        Raises:
            RuntimeError: if a worker fails (with its traceback), or too many of them die or hang.
        """
        count = len(job.seeds)
        if self._local is not None:
            self._local.begin(number, job)
            parts, left, waiting = [], 1, list(range(count))
            while left:
                results, left, _ = self._local.play(waiting, False)
                parts.append(results)
                waiting = []
            return _in_order(parts, count)
        try:
            self._teach()
            return self._dealt(number, job, count)
        except BaseException:
            self.close()  # what they would still answer is wanted no more
            raise

    def _dealt(self, number: int, job: Job, count: int) -> Results:
        began = time.perf_counter()
        waiting, parts, lost = deque(range(count)), [], 0
        holding: dict[Process, set[int]] = {}
        left: dict[Process, int] = {}
        heard: dict[Process, float] = {}
        clocks: dict[Process, tuple[float, float]] = {}

        def deal(process: Process, first: bool = False) -> None:
            others = max(1, len(self._processes))
            room = max(self.lanes + self.lanes // 4 - left[process], 0)
            if first:
                room = min(room, -(-len(waiting) // others)) if not parts else room
            fair = room if len(waiting) > 2 * self.lanes * others else min(room, -(-len(waiting) // others))
            some = [waiting.popleft() for _ in range(min(fair, len(waiting)))]
            holding[process].update(some)
            process.send("play", some, bool(waiting))
            heard[process] = time.monotonic()

        def employ(process: Process) -> None:
            holding[process], left[process] = set(), 0
            process.send("begin", number, job)
            self._answer(process)
            deal(process, first=True)

        for process in self._processes:
            holding[process], left[process] = set(), 0
            process.send("begin", number, job)
        for process in self._processes:
            self._answer(process)
        for process in self._processes:
            deal(process, first=True)
        ended = 0
        while ended < count:
            busy = [process for process in self._processes if process in heard]
            ready = connections.wait([process.connection for process in busy], timeout=1.0)
            for process in busy:
                if process.connection not in ready:
                    if time.monotonic() - heard[process] < self._patience:
                        continue
                    reason = f"was silent for {self._patience:g} s"
                else:
                    try:
                        results, left[process], clocks[process] = process.receive()
                    except EOFError:
                        reason = "died"
                    else:
                        parts.append(results)
                        ended += len(results.places)
                        holding[process].difference_update(results.places.tolist())
                        del heard[process]
                        if left[process] or waiting:
                            deal(process)
                        continue
                # its places go back to the front
                lost += 1
                waiting.extendleft(sorted(holding.pop(process), reverse=True))
                heard.pop(process)
                status = process.close()
                self._processes.remove(process)
                if lost > RETRIES:
                    raise RuntimeError(
                        f"{lost} worker processes of {self._env.name} were lost; the last one {reason}"
                        f" (exit status {status})"
                    )
                fresh = self._new()
                self._processes.append(fresh)
                self._teach()
                employ(fresh)
            for process in self._processes:  # those that had nothing to do when a lost one's places came back
                if process not in heard and waiting:
                    deal(process)
        wall = (time.perf_counter() - began) * max(1, len(clocks))
        playing = sum(playing for _, playing in clocks.values())
        self.idle = max(0.0, 1 - playing / wall)
        self.acting = sum(acting for acting, _ in clocks.values()) / max(playing, 1e-9)
        return _in_order(parts, count)

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self._processes = []

    def _teach(self) -> None:
        """See to it that there are all workers, and that they know all programs."""
        self.start()
        behind = [process for process in self._processes if process.loaded < len(self._programs)]
        for process in behind:
            for number in range(process.loaded, len(self._programs)):
                process.send("load", number, self._programs[number])
        for process in behind:
            while process.loaded < len(self._programs):
                self._answer(process)
                process.loaded += 1

    def _new(self) -> Process:
        try:
            lanes = pickle.dumps(self._env.lanes)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"the lanes of {self._env.name} must be a module's function or a functools.partial of one, so that "
                f"worker processes can make them ({error}); workers=0 plays in this process"
            ) from None
        return Process(lanes, self.lanes)

    def _answer(self, process: Process) -> Any:
        try:
            return process.receive()
        except EOFError:
            raise RuntimeError(
                f"a worker process of {self._env.name} died at the start (exit status {process.close()})"
            ) from None


def _close(reference: Any) -> None:
    pool = reference()
    if pool is not None:
        pool.close()


def _in_order(parts: list[Results], count: int) -> Results:
    joined = Results(*jax.tree.map(lambda *x: np.concatenate(x), *parts))
    order = np.argsort(joined.places)
    assert len(order) == count
    return jax.tree.map(lambda x: x[order], joined)
