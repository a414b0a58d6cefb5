"""Several processes in one run: they join, check that their settings are the same, and agree on times."""

import hashlib
import importlib.metadata
import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxes.parallel.private import wait_for_all
from jaxes.parallel.rendezvous import rendezvous
from jaxes.support import checks

_meetings = itertools.count()
HEARTBEAT = 30  # seconds without a sign of a process after which the others end
PATIENCE = 60  # seconds to wait for all processes at the start


class Processes(NamedTuple):
    """The processes of a run, seen from one of them."""

    count: int = 1  # how many there are
    mine: int = 0  # the id of this process

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.mine == 0

    def meet(self, patience: float = 3600.0) -> None:
        """Wait for all processes; a collective would not wait long enough for one that compiles or writes to disk."""
        if self.count > 1:
            wait_for_all(f"jaxes {next(_meetings)}", patience)

    def agree(self, *numbers: float) -> list[float]:
        """The numbers that the first process gives, returned in every process."""
        if self.count == 1:
            return list(numbers)
        return [float(x) for x in self._all(numbers)[0]]

    def most(self, number: float) -> float:
        """The largest number that any process gives."""
        return number if self.count == 1 else float(self._all((number,)).max())

    def broadcast(self, tree: Any) -> Any:
        """The arrays of the first process, returned in every process; the others give a tree of the same shapes."""
        if self.count == 1:
            return tree
        from jax.experimental import multihost_utils

        is_key = lambda x: jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)
        plain = jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)
        sent = multihost_utils.broadcast_one_to_all(jax.tree.map(np.asarray, plain))
        array = lambda x, like: (
            jax.random.wrap_key_data(jax.numpy.asarray(x), impl=jax.random.key_impl(like))
            if is_key(like)
            else jax.numpy.asarray(x)
        )
        return jax.tree.map(array, sent, tree)

    def check_alike(self, settings: Mapping[str, Any]) -> None:
        """Raise ValueError in every process unless all have these settings and the same versions."""
        if self.count == 1:
            return
        self.meet()
        version = importlib.metadata.version
        versions = {f"version of {name}": version(name) for name in ("jaxes", "jax", "jaxlib", "flax", "optax")}
        mine = {name: json.dumps(value, default=str) for name, value in {**versions, **settings}.items()}
        digest = lambda text: list(hashlib.sha256(text.encode()).digest()[:4])
        # Names first: rows of another length could not be compared.
        rows = names = self._bytes(digest(json.dumps(list(mine))))
        if (names == names[0]).all():
            rows = self._bytes([byte for value in mine.values() for byte in digest(value)])
        if (rows == rows[0]).all():
            return
        other = int(np.nonzero((rows != rows[0]).any(axis=1))[0][0])
        differs = (rows[other] != rows[0]).reshape(-1, 4).any(axis=1)
        found = [name for name, is_other in zip(mine, differs, strict=False) if is_other]
        what = ", ".join(f"{name} (here {mine[name]})" for name in found) if rows is not names else "other names"
        raise ValueError(f"all processes must have the same settings; process {other} differs from process 0 in {what}")

    def leave(self) -> None:
        """Wait until the other processes end, and leave: afterwards this process is alone."""
        if self.count > 1:
            jax.distributed.shutdown()

    def _all(self, numbers: Any) -> np.ndarray:
        """float64[processes, numbers]"""
        words = np.asarray(numbers, np.float64).view(np.uint8)
        return np.ascontiguousarray(self._bytes(words)).view(np.float64)

    def _bytes(self, row: Any) -> np.ndarray:
        """uint8[processes, ...]"""
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(np.asarray(row, np.uint8)))


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: int = PATIENCE,
    heartbeat: int = HEARTBEAT,
) -> Processes:
    """Join several processes that run the same program. Call it before JAX starts.

    Args:
        coordinator: "HOST:PORT" where the process with id 0 listens; "auto" lets JAX find all settings (on SLURM, TPU
            pods, Kubernetes, Open MPI); None for a single process.
        processes: the number of processes.
        process_id: the id of this process, 0 to processes - 1.
        timeout: seconds to wait for the other processes.
        heartbeat: seconds without a sign of life after which a process counts as dead and the others end with a
            non-zero exit status; restart all of them, and resume.

    Raises:
        ValueError: for numbers that make no sense.
        ConnectionError: if the coordinator is not there, or not all processes have come, within the timeout.
    """
    given = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    if coordinator is None:
        if processes is not None or process_id is not None:
            raise ValueError(f"processes and process_id need a coordinator, HOST:PORT or auto; got {given}")
        return Processes()
    how: dict[str, Any] = {"initialization_timeout": timeout, "heartbeat_timeout_seconds": heartbeat}
    how |= {"shutdown_timeout_seconds": timeout}
    if coordinator != "auto":
        host, _, port = coordinator.rpartition(":")
        if not (host and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(f"coordinator must be HOST:PORT or auto, got {coordinator!r}")
        if processes is None or process_id is None:
            raise ValueError(f"coordinator {coordinator!r} needs processes and process_id, got {given}")
        checks.count("processes", processes)
        checks.integer("process_id", process_id, 0, processes - 1)
        rendezvous(host, int(port), processes, process_id, timeout)
        how |= {"coordinator_address": coordinator, "num_processes": processes, "process_id": process_id}
    try:
        jax.distributed.initialize(**how)
    except RuntimeError as error:
        if "must be called before" in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"coordinator {coordinator}: not all processes came within {timeout} s ({reason})"
        ) from None
    return Processes(jax.process_count(), jax.process_index())
