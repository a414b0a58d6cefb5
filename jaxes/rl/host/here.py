"""Workers on this machine: processes that are given a pipe and end when it closes."""

import os
import sys
from multiprocessing import connection as connections
from typing import Any

from jaxes.support import processes

# A worker computes a policy's actions on one core, beside others that do the same.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Here:
    """Starts workers on this machine."""

    def default(self) -> int:
        """How many workers there are by default: one for each core that this process may use."""
        return processes.cores()

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
        flags = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAGS}".strip()
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, **ENVIRONMENT, "XLA_FLAGS": flags, "PYTHONPATH": paths}
        self._process = processes.Process([sys.executable, "-m", "jaxes.rl.host.worker"], environment)
        self.connection = self._process.connection
        self.pid = self._process.pid
        self.loaded = 0
        """How many programs it knows."""
        self.send("make", sys.path, lanes, count)

    def send(self, name: str, *arguments: Any) -> None:
        self._process.send((name, arguments))

    def receive(self) -> Any:
        """The next answer; raises EOFError if the process has died, RuntimeError if it failed."""
        state, answer = self._process.receive()
        if state == "error":
            raise RuntimeError(f"a worker process failed:\n{answer}")
        return answer

    def close(self) -> str:
        """End the process; a description of how it ended."""
        return f"exit status {self._process.close()}"
