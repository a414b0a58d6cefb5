"""Workers on any number of machines: the actors of a Ray cluster.

An actor is sent the job of a generation once (the strategy's state by reference, through Ray's object store) and which
slots to play. It draws the members itself, and sends back scalars and sums of observations.
"""

import contextlib
import logging
import socket
from typing import Any

from jaxes.rl.host.here import ENVIRONMENT, XLA_FLAGS
from jaxes.rl.host.worker import Worker
from jaxes.support import extras

PATIENCE = 60.0  # seconds to wait for an answer that takes no work, such as the one that an actor has started


class Fleet:
    """Starts workers on a cluster (the counterpart of `jaxes.rl.host.here.Here`).

    Args:
        address: where the cluster is, such as "ray://HOST:10001", "HOST:6379", or "auto" for a cluster on this machine.

    Raises:
        ImportError: without Ray; the message says what to install.
        ConnectionError: if no cluster answers there.
    """

    def __init__(self, address: str):
        try:
            import ray
        except ImportError as error:
            raise extras.missing("ray", "ray", error) from None
        self._ray = ray
        if not ray.is_initialized():
            _knock(address)
            try:
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            except Exception as error:  # ConnectionError, RuntimeError, TimeoutError: whatever its transport raises
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise ConnectionError(f"no Ray cluster answers at {address!r}: {reason}") from None

    def default(self) -> int:
        """How many workers there are by default: one for each CPU of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def room(self) -> int:
        """How many more workers could start now."""
        return int(self._ray.available_resources().get("CPU", 0))

    def new(self, lanes: bytes, count: int) -> "Actor":
        return Actor(self._ray, lanes, count)

    def share(self, job: Any) -> Any:
        """A reference to one copy of the job, for `Worker.begin`."""
        return self._ray.put(job)

    def wait(self, workers: list["Actor"], timeout: float) -> list["Actor"]:
        """Wait for at least one worker that has an answer or is gone; the workers of which that is true."""
        first = {worker.pending[0]: worker for worker in workers}
        ready, _ = self._ray.wait(list(first), num_returns=1, timeout=timeout)
        return [first[reference] for reference in ready]


class Actor:
    """A worker on some machine (the counterpart of `jaxes.rl.host.here.Process`)."""

    def __init__(self, ray: Any, lanes: bytes, count: int):
        self._ray, self.loaded = ray, 0
        settings = {"env_vars": {**ENVIRONMENT, "XLA_FLAGS": XLA_FLAGS}}
        self._actor = ray.remote(num_cpus=1, runtime_env=settings)(Worker).remote(lanes, count)
        self.pending: list[Any] = []
        """References to answers, in the order of the questions."""

    def send(self, name: str, *arguments: Any) -> None:
        self.pending.append(getattr(self._actor, name).remote(*arguments))

    def receive(self) -> Any:
        """The next answer; raises EOFError if the actor or its machine is gone, RuntimeError if it failed."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(self.pending.pop(0), timeout=PATIENCE)
        except errors.RayTaskError as error:
            raise RuntimeError(f"a worker process failed:\n{error}") from None
        except (errors.RayActorError, errors.GetTimeoutError, errors.ObjectLostError):
            raise EOFError from None

    def close(self) -> str:
        """End the actor; a description of how it ended."""
        self.pending.clear()
        if self._ray.is_initialized():  # else it has ended with its cluster, and `kill` would start another one
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(self._actor)
        return "an actor of Ray"


def _knock(address: str) -> None:
    """Raise ConnectionError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster answers at {address!r}: {error.strerror or error}") from None
