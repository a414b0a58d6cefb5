"""Where a run is kept on disk: settings, checkpoints, the policy, metrics, and a picture of them."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.parallel import Processes
from jaxes.training import about


class Folder:
    """The folder of a run. Whatever can go wrong with it is found when it is made, before any long work.

    Args:
        path: of the folder, which is created.
        carry: (strategy's state, problem's state): with these shapes and dtypes.
        resume: whether to go on from the newest checkpoint; from the beginning if the run was ended before the first.
        track: where else metrics go.
        origin: which run it is, see `jaxes.training.origin`.

    Raises:
        FileExistsError, FileNotFoundError, OSError, ValueError: see `jaxes.fit`.
    """

    def __init__(self, path: Path, carry: Any, resume: bool, track: str | None = None, origin: Any = None):
        self.path, self.carry, self.seconds, self._track, self._origin = path, carry, 0.0, track, origin
        self._resumed = resume
        self.evaluated: float | None = None
        """The score of an evaluation after the newest checkpoint's generation; None if there was none."""
        self.confirmed: float | None = None
        """The same on fresh episodes; None if it reached no target."""
        held = path / "checkpoints"
        if resume and not held.is_dir():
            raise FileNotFoundError(f"{path} holds no run to resume: it has no checkpoints folder")
        if not resume and held.is_dir() and any(held.iterdir()):
            raise FileExistsError(f"{path} holds a run already: resume it, or name another folder")
        self._is_new, self._is_empty = not path.exists(), not path.exists() or not any(path.iterdir())
        _probe(path, 3 * sum(x.nbytes for x in jax.tree.leaves(carry)) + 2**16)
        from jaxes.training.checkpoint import Checkpoints

        self._checkpoints = Checkpoints(held)
        self._recorder: Any = None
        if resume and self._checkpoints.latest is not None:
            tree = self._checkpoints.load(self._tree(carry, 0.0), origin)
            self.carry, self.seconds = (tree["state"], tree["problem_state"]), float(tree["seconds"])
            self.evaluated, self.confirmed = _scores(path, self._checkpoints.latest)

    def describe(self, settings: Any) -> None:
        """Write `config.json`, see `jaxes.fit`; None leaves that of a resumed run as it is."""
        if settings is not None or not self._resumed or about.read(self.path) is None:
            about.write(self.path, about.described(settings))

    def open(self) -> None:
        from jaxes.training.metrics import Recorder

        settings = {name: value for name, value in (about.read(self.path) or {}).items() if name != "versions"}
        self._recorder = Recorder(self.path, settings, after=int(self.carry[0].step), track=self._track)

    def write(self, row: dict[str, Any]) -> None:
        self._recorder.write(row)

    def save(self, carry: Any, seconds: float, recommend: Callable[[Any], Any]) -> None:
        """Write a checkpoint, and the policy of that moment."""
        from jaxes.training import trained

        self._checkpoints.save(int(carry[0].step), self._tree(carry, seconds), self._origin)
        trained.save(self.path, recommend(carry[0]), getattr(carry[1], "normalizer", None))

    def close(self) -> None:
        from jaxes.training import plots

        if self._recorder is not None:
            self._recorder.close()
            if self._recorder.rows:
                plots.reward(self.path)
        self.release()

    def release(self) -> None:
        """Close what was opened to look at the folder."""
        self._checkpoints.close()

    def discard(self) -> None:
        """Leave nothing behind of a run that has not begun, in a folder that held nothing before."""
        if self._is_empty:
            for path in self.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self._is_new:
            self.path.rmdir()

    @staticmethod
    def _tree(carry: Any, seconds: float) -> dict[str, Any]:
        return {"state": carry[0], "problem_state": carry[1], "seconds": jnp.float32(seconds)}


class Opened(NamedTuple):
    """Where a run begins, the same in all processes."""

    folder: Folder | None  # if this process writes it
    carry: Any
    seconds: float  # so far
    evaluated: float | None = None  # see `Folder`
    confirmed: float | None = None  # see `Folder`


def opened(path: Path, carry: Any, resume: bool, track: str | None, processes: Processes, origin: Any = None) -> Opened:
    """Open the folder in the process that writes it; the arguments are those of `Folder`."""
    folder, fault, scores = None, None, (None, None)
    if processes.first:
        try:
            folder = Folder(path, carry, resume, track, origin)
            carry, scores = folder.carry, (folder.evaluated, folder.confirmed)
        except (OSError, ValueError) as error:
            fault = error
    processes.meet()
    seconds = 0.0 if folder is None else folder.seconds
    numbers = [math.nan if score is None else score for score in scores]
    found, seconds, *numbers = processes.agree(float(fault is None), seconds, *numbers)
    if fault is not None:
        raise fault
    if not found:
        raise OSError(f"process 0 cannot use {path}: its own message says why")
    evaluated, confirmed = (None if math.isnan(score) else score for score in numbers)
    return Opened(folder, processes.broadcast(carry), seconds, evaluated, confirmed)


def _scores(path: Path, generation: int) -> tuple[float | None, float | None]:
    """The scores of the evaluation, and on fresh episodes, that the row of a generation has."""
    from jaxes.training import metrics

    rows = [row for row in metrics.read(path) if row["generation"] == generation]
    return (rows[-1].get("evaluation"), rows[-1].get("confirmation")) if rows else (None, None)


def _probe(path: Path, size: int) -> None:
    """Create the folder `path`; raise OSError unless `size` bytes can be written into it."""
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
