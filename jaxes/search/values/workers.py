"""Evaluating a Python function in processes."""

import contextlib
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection as connections
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxes.support import checks, numerals, pickling
from jaxes.support.processes import Process, cores

ATTEMPTS = 3  # processes that a member may end

_COMMAND = [sys.executable, "-P", "-u", str(Path(__file__).with_name("worker.py"))]
# Beside each other, so one thread each; what the user has set is heeded.
_ENVIRONMENT = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    )
} | {"JAX_PLATFORMS": "cpu"}


class WorkerError(Exception):
    """The cause of an exception that was raised in a worker process: its traceback there."""

    def __str__(self) -> str:
        return f"in a worker process:\n\n{self.args[0]}"


def wanted(workers: int | None) -> int:
    """How many processes `workers=` means: none for None and 0, one for each core for -1.

    Raises:
        ValueError: for anything else that is no int of 1 or more.

    >>> wanted(None), wanted(0), wanted(4), wanted(-1) >= 1
    (0, 0, 4, True)
    """
    if workers is None:
        return 0
    if not checks.is_integer(workers, -1):
        told = numerals.told(workers)
        raise ValueError(f"workers must be a number of processes, -1 for one on each core, or None, got {told}")
    return cores() if workers == -1 else int(workers)


class Workers:
    """Processes that evaluate one function.

    They are given the function itself, also a lambda, a closure or what a script or notebook defines, and run neither
    that script nor JAX, unless the function needs it (then on the CPU, with doubles where this process has them). Each
    has one thread for products of matrices, unless variables such as OMP_NUM_THREADS say otherwise, so that values do
    not depend on how many there are. They start when they are first needed.

    Args:
        f: member -> value; each process has a copy of it, and of all that it holds.
        count: how many processes, 1 or more.

    Raises:
        TypeError: if `f` cannot be sent to other processes.

    >>> with Workers(lambda x: float(x @ x), 2) as workers:
    ...     sorted(workers.evaluate([np.ones(2), np.ones(3)]))
    [(0, 2.0), (1, 3.0)]
    """

    def __init__(self, f: Callable[[Any], Any], count: int):
        checks.integer("count", count)
        self._f, self._count = _sent(f), count
        self._idle: list[Process] = []
        self._busy: dict[Any, tuple[Process, int]] = {}  # by connection: the process, and the member that it has

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def evaluate(self, members: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Evaluate every member once; its index and what `f` returned, in the order in which they come.

        A member whose process dies is evaluated again by another one. Where several members fail, the exception is that
        of the first of them in their order.

        Args:
            members: arguments of `f`, arrays or trees of them.

        Raises:
            Exception: what `f` raised, caused by an `WorkerError` with its traceback.
            RuntimeError: if a member has ended its process three times, or `f` cannot be made in the processes.
        """
        waiting = deque(range(len(members)))
        deaths: dict[int, int] = {}
        failed, failure = len(members), None
        answer: Any
        try:
            while waiting or any(i < failed for _, i in self._busy.values()):
                self._employ(len(waiting))
                while waiting and self._idle:
                    process, i = self._idle.pop(), waiting.popleft()
                    self._busy[process.connection] = process, i
                    process.send(_dumped(members[i]))
                for connection in connections.wait(list(self._busy)):
                    process, i = self._busy.pop(connection)
                    try:
                        kind, answer = process.receive()
                        self._idle.append(process)
                    except EOFError:
                        status = process.close()
                        deaths[i] = deaths.get(i, 0) + 1
                        if deaths[i] < ATTEMPTS:
                            waiting.appendleft(i)
                            continue
                        kind, answer = "death", status
                    if kind == "value":
                        yield i, pickle.loads(answer)
                    elif i < failed:
                        failed, failure = i, (kind, answer)
                        waiting = deque(j for j in waiting if j < failed)
            if failure is not None:
                raise _error(failed, *failure)
        except BaseException:  # also if whoever asks has had enough
            self.close()
            raise

    def close(self) -> None:
        """End all processes, and what they are doing; they start again when they are needed."""
        busy, idle = [process for process, _ in self._busy.values()], self._idle
        self._busy, self._idle = {}, []
        for process in busy:
            process.kill()
        for process in busy + idle:
            process.connection.close()
        for process in busy + idle:
            process.close()

    def _employ(self, count: int) -> None:
        """Start processes until so many are idle, or all are there."""
        missing = min(count - len(self._idle), self._count - len(self._idle) - len(self._busy))
        if missing > 0:
            doubles = {"JAX_ENABLE_X64": str(int(jax.config.read("jax_enable_x64")))}
            new = [Process(_COMMAND, {**_ENVIRONMENT, **os.environ, **doubles}) for _ in range(missing)]
            for process in new:  # all have started when the first of them reads
                process.send((sys.path, sys.argv, self._f))
            self._idle.extend(new)


def _sent(f: Callable) -> bytes:
    try:
        return pickling.dumps(f)
    except Exception as error:
        raise TypeError(
            f"f cannot be sent to worker processes ({error}); workers=None evaluates it in this process"
        ) from error


def _dumped(member: Any) -> bytes:
    if isinstance(member, np.ndarray):
        return pickle.dumps(member, pickle.HIGHEST_PROTOCOL)
    return pickling.dumps(member)  # a tree may have nodes of the user's script


def _error(i: int, kind: str, answer: Any) -> BaseException:
    """What is raised for member `i`."""
    if kind == "death":
        code = f"exit code {answer}"
        with contextlib.suppress(ValueError):
            code += f", {signal.Signals(-answer).name}"
        return RuntimeError(f"f has ended {ATTEMPTS} worker processes when it was called with member {i} ({code})")
    error, summary, trace = pickle.loads(answer)
    if error is None:
        error = RuntimeError(f"f raised {summary}")
    error.__cause__ = WorkerError(trace)
    return error
