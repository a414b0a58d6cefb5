"""Where else metrics go, beside the run's folder: TensorBoard's events in it, and Weights & Biases, MLflow or Trackio.

Each of them is told the settings at the start, rows of metrics by names in groups, and a finished run's pictures.
"""

import importlib
import json
import math
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from jaxes.support import checks, extras

_GROUPS = {
    "score": ("best", "mean", "worst", "evaluation", "evaluation_std", "evaluation_rank", "confirmation"),
    "search": ("sigma", "grad_norm", "update_ratio", "elites", "invalid"),
    "episodes": ("episode_length", "truncated_share", "episodes", "truncated", "invalid_observations"),
    "speed": ("steps_per_second", "utilization", "seconds", "steps", "lane_steps"),
}
_TAGS = {name: f"{group}/{name}" for group, names in _GROUPS.items() for name in names}


class Tracker(Protocol):
    """A place that metrics are sent to."""

    def write(self, numbers: dict[str, float], generation: int) -> None:
        """Add a row."""

    def show(self, name: str, path: Path, generation: int) -> None:
        """Add a picture (.png) or a moving one (.gif)."""

    def close(self) -> None:
        """Send what is left."""


def grouped(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a row of metrics, by their names in groups; counters of other problems are "problem/".

    >>> grouped({"generation": 3, "mean": 1.5, "evaluation": None, "sigma": 0.1, "games": 7})
    {'score/mean': 1.5, 'search/sigma': 0.1, 'problem/games': 7}
    """
    return {
        _TAGS.get(name, f"problem/{name}"): value
        for name, value in row.items()
        if name != "generation" and isinstance(value, int | float) and math.isfinite(value)
    }


class TensorBoard:
    """Events in the run's folder; hyper-parameters with the evaluation as their metric."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], after: int = 0):
        from tensorboardX import SummaryWriter
        from tensorboardX.summary import hparams

        earlier = any(folder.glob("events*"))  # of a session that may have been killed after its last checkpoint
        self._events = SummaryWriter(str(folder), purge_step=after + 1 if earlier else None)
        if settings:
            for summary in hparams(flat(settings), {"score/evaluation": math.nan}):
                self._events.file_writer.add_summary(summary)

    def write(self, numbers: dict[str, float], generation: int) -> None:
        for name, value in numbers.items():
            self._events.add_scalar(name, value, generation)

    def show(self, name: str, path: Path, generation: int) -> None:
        from matplotlib import image
        from tensorboardX.proto.summary_pb2 import Summary

        if path.suffix == ".gif":  # as it is: TensorBoard plays it
            width, height = (int.from_bytes(path.read_bytes()[at : at + 2], "little") for at in (6, 8))
        else:
            height, width = image.imread(path).shape[:2]
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
        self._events.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), generation)

    def close(self) -> None:
        self._events.close()


class _Wandb:
    def __init__(self, folder: Path, settings: Mapping[str, Any], known: str | None):
        self._wandb = _module("wandb")
        self.id = known or uuid.uuid4().hex[:8]
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "jaxes"),
            name=folder.name,
            id=self.id,
            resume="allow",
            dir=str(folder),
            config=flat(settings),
        )
        self._run.define_metric("generation")
        self._run.define_metric("*", step_metric="generation")

    def write(self, numbers: dict[str, float], generation: int) -> None:
        self._run.log({**numbers, "generation": generation})

    def show(self, name: str, path: Path, generation: int) -> None:
        moving = path.suffix == ".gif"
        picture = self._wandb.Video(str(path), format="gif") if moving else self._wandb.Image(str(path))
        self._run.log({name: picture, "generation": generation})

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, folder: Path, settings: Mapping[str, Any], known: str | None):
        self._mlflow = _module("mlflow")
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "jaxes"))
        run = self._mlflow.start_run(run_id=known, run_name=None if known else folder.name)
        self.id = run.info.run_id
        if known is None:
            self._mlflow.log_params(flat(settings))

    def write(self, numbers: dict[str, float], generation: int) -> None:
        self._mlflow.log_metrics(numbers, step=generation)

    def show(self, name: str, path: Path, generation: int) -> None:
        self._mlflow.log_artifact(str(path))

    def close(self) -> None:
        self._mlflow.end_run()


class _Trackio:
    def __init__(self, folder: Path, settings: Mapping[str, Any], known: str | None):
        self._trackio = _module("trackio")
        self.id = known or f"{folder.name}-{uuid.uuid4().hex[:4]}"
        project = os.environ.get("TRACKIO_PROJECT", "jaxes")
        self._trackio.init(project=project, name=self.id, resume="allow", config=flat(settings))

    def write(self, numbers: dict[str, float], generation: int) -> None:
        self._trackio.log(numbers, step=generation)

    def show(self, name: str, path: Path, generation: int) -> None:
        moving = path.suffix == ".gif"
        picture = self._trackio.Video(str(path), format="gif") if moving else self._trackio.Image(str(path))
        self._trackio.log({name: picture}, step=generation)

    def close(self) -> None:
        self._trackio.finish()


_KINDS: dict[str, Callable[[Path, Mapping[str, Any], str | None], Any]] = {
    "wandb": _Wandb,
    "mlflow": _MLflow,
    "trackio": _Trackio,
}


class Elsewhere:
    """One of the trackers. What goes wrong there is told once, and does not end the run.

    Args:
        kind: "wandb", "mlflow" or "trackio".
        folder: of the run. It keeps the run's id there, so that a resumed run goes on in the same place.
        settings: of the run.
    """

    def __init__(self, kind: str, folder: Path, settings: Mapping[str, Any]):
        self._kind, self._tracker = kind, None
        path, scratch = folder / "tracked.json", folder / ".tracked.json.tmp"
        known = json.loads(path.read_text()) if path.is_file() else {}
        self._tracker = self._try(lambda: _KINDS[kind](folder, settings, known.get(kind)))
        if self._tracker is not None:
            scratch.write_text(json.dumps({**known, kind: self._tracker.id}) + "\n")
            os.replace(scratch, path)

    def write(self, numbers: dict[str, float], generation: int) -> None:
        self._try(lambda: self._tracker and self._tracker.write(numbers, generation))

    def show(self, name: str, path: Path, generation: int) -> None:
        self._try(lambda: self._tracker and self._tracker.show(name, path, generation))

    def close(self) -> None:
        self._try(lambda: self._tracker and self._tracker.close())

    def _try(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except Exception as error:
            self._tracker = None
            print(f"{self._kind} is left out from here on: {error}", file=sys.stderr)
            return None


def check(kind: str | None) -> None:
    """Raise ValueError for a tracker that there is not, ImportError for one that is not installed."""
    if kind == "tensorboard":
        raise ValueError("track needs no 'tensorboard': its events are always in the run's folder")
    if kind is not None:
        checks.choice("tracker", kind, _KINDS)
        _module(kind)


def trackers(folder: Path, settings: Mapping[str, Any], kind: str | None, after: int = 0) -> list[Tracker]:
    """All places that the metrics of a run go to, beside `metrics.jsonl`."""
    places: list[Tracker] = [TensorBoard(folder, settings, after)]
    return places if kind is None else [*places, Elsewhere(kind, folder, settings)]


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings as numbers, strings and bools, those in a record inside as "record.name"; None is left out.

    >>> flat({"sigma": 0.1, "hidden": (32, 32), "settings": {"lr": 1, "x": None}})
    {'sigma': 0.1, 'hidden': '32 32', 'settings.lr': 1}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        elif isinstance(value, bool | int | float | str):
            found[above + name] = value
        elif isinstance(value, list | tuple):
            found[above + name] = " ".join(map(str, value))
        elif value is not None:
            found[above + name] = str(value)
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise extras.missing(name, name, error) from None
