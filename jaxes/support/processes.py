"""Processes that are given a pipe and end when it closes."""

import contextlib
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from multiprocessing import connection as connections
from typing import Any


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Process:
    """A command that is told the number of its end of a pipe as the last argument.

    It has a session of its own: Ctrl-C goes to all processes of a terminal, and the parent decides what ends.

    Args:
        command: must end when the other end of the pipe is closed; SIGINT is blocked in it, until it unblocks it.
        environment: its environment variables.
    """

    def __init__(self, command: list[str], environment: dict[str, str]):
        ours, theirs = connections.Pipe()
        with blocked(signal.SIGINT):  # no interruption between the start and the first statement of the process
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        theirs.close()
        self.connection, self.pid = ours, self._process.pid

    def send(self, message: Any) -> None:
        """Send what can be pickled; nothing happens if the process has died, which `receive` will tell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    def receive(self) -> Any:
        """The next message from the process, waited for; raises EOFError if it has died."""
        try:
            return self.connection.recv()
        except (ConnectionResetError, BrokenPipeError, pickle.UnpicklingError):
            raise EOFError from None

    def close(self, patience: float = 0.5) -> int:
        """End the process, by force if it has not ended after `patience` seconds; its exit status."""
        self.connection.close()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()
        return self._process.wait()

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


@contextlib.contextmanager
def blocked(number: int) -> Iterator[None]:
    """Inside, this signal waits; processes that are started inside do not get it, from their first instruction on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
