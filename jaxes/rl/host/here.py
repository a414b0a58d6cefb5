"""Workers on this machine: processes that are given a pipe and end when it closes."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import connection as connections
from typing import Any

# A worker computes a policy's actions on one core, beside others that do the same.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Here:
    """Starts workers on this machine."""

    def default(self) -> int:
        """How many workers there are by default: one for each core that this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def room(self) -> int:
        """How many more workers could start now."""
        return 1_000

    def new(self, lanes: bytes, count: int) -> "Process":
        return Process(lanes, count)

    def share(self, job: Any) -> Any:
        """The job itself, for `Worker.begin`."""
        return job

    def wait(self, workers: list["Process"], timeout: float) -> list["Process"]:
        """Wait for workers that have an answer or have died; the workers of which that is true."""
        ready = connections.wait([worker.connection for worker in workers], timeout)
        return [worker for worker in workers if worker.connection in ready]


class Process:
    """A worker in a process of its own."""

    def __init__(self, lanes: bytes, count: int):
        ours, theirs = connections.Pipe()
        flags = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAGS}".strip()
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, **ENVIRONMENT, "XLA_FLAGS": flags, "PYTHONPATH": paths}
        command = [sys.executable, "-m", "jaxes.rl.host.worker", str(theirs.fileno())]
        with _blocked(signal.SIGINT):  # Ctrl-C goes to all processes of a terminal: the parent decides
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

    def close(self) -> str:
        """End the process; a description of how it ended."""
        self.connection.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return f"exit status {self._process.wait()}"


@contextlib.contextmanager
def _blocked(number: int) -> Iterator[None]:
    """Processes that are started here do not get this signal, from their first instruction on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
