"""The metrics of a run on disk: `metrics.jsonl`, one JSON object per chunk of generations."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxes.training import tracking


class Recorder:
    """Writes rows of metrics into a run's folder, and to the trackers.

    Args:
        folder: of the run.
        settings: of the run, for the trackers.
        after: rows of generations after this one are removed first. A session wrote them that was killed after its last
            checkpoint, and they are about to be made again.
        track: where else metrics go, see `jaxes.fit`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], after: int = 0, track: str | None = None):
        self._path = folder / "metrics.jsonl"
        kept = [row for row in read(folder) if row["generation"] <= after]
        scratch = self._path.with_suffix(".tmp")
        scratch.write_text("".join(_line(row) for row in kept))
        os.replace(scratch, self._path)
        self.rows = len(kept)
        """How many rows the file has."""
        self._file = self._path.open("a")
        self._trackers = tracking.trackers(folder, settings, track, after)

    def write(self, row: dict[str, Any]) -> None:
        """Add one row, and flush the file."""
        self._file.write(_line(row))
        self._file.flush()
        self.rows += 1
        for tracker in self._trackers:
            tracker.write(tracking.grouped(row), row["generation"])

    def close(self) -> None:
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


PICTURES = {"reward.png": "reward", "episode.gif": "episode"}
"""The pictures of a finished run, and what trackers call them."""


def send_pictures(folder: Path, track: str | None) -> None:
    """Send the pictures that are in a run's folder to TensorBoard's events there, and to a tracker."""
    there = {name: folder / file for file, name in PICTURES.items() if (folder / file).is_file()}
    rows = read(folder)
    if not there or not rows:
        return
    generation = rows[-1]["generation"]
    for tracker in tracking.trackers(folder, {}, track, after=generation):
        for name, path in there.items():
            tracker.show(name, path, generation)
        tracker.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """All rows of a run, without a last line that a crash has cut short."""
    path = Path(folder) / "metrics.jsonl"
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _line(row: dict[str, Any]) -> str:
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    return json.dumps(finite) + "\n"
