"""The metrics of a run on disk: `metrics.jsonl`, one JSON object per chunk of generations, and TensorBoard events."""

import json
import math
import os
from pathlib import Path
from typing import Any


class Recorder:
    """Writes rows of metrics into a run's folder.

    Args:
        folder: of the run.
        after: rows of generations after this one are removed first. A session wrote them that was killed after its last
            checkpoint, and they are about to be made again.
    """

    def __init__(self, folder: Path, after: int = 0):
        from tensorboardX import SummaryWriter

        self._path = folder / "metrics.jsonl"
        kept = [row for row in read(folder) if row["generation"] <= after]
        scratch = self._path.with_suffix(".tmp")
        scratch.write_text("".join(_line(row) for row in kept))
        os.replace(scratch, self._path)
        self.rows = len(kept)
        """How many rows the file has."""
        self._file = self._path.open("a")
        self._events = SummaryWriter(str(folder), purge_step=after + 1 if after else None)

    def write(self, row: dict[str, Any]) -> None:
        """Add one row, and flush the file."""
        self._file.write(_line(row))
        self._file.flush()
        self.rows += 1
        for name, value in row.items():
            if name != "generation" and value is not None and math.isfinite(value):
                self._events.add_scalar(name, value, row["generation"])

    def close(self) -> None:
        self._file.close()
        self._events.close()


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
