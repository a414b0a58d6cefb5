"""What all pictures of runs share: the rows of metrics, the horizontal axis, and writing the file."""

import math
from pathlib import Path
from typing import Any

from jaxes.support import checks

AXES = {"steps": "environment steps", "seconds": "seconds", "generation": "generations"}
"""What the horizontal axis may be, and how it is called."""

FLAT = 0.02
"""The least share of its values that a vertical axis spans: what differs by less looks as flat as it is."""


def rows_of(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics; raises FileNotFoundError if there are none."""
    from jaxes.training.metrics import read

    rows = read(run)
    if not rows:
        raise FileNotFoundError(f"{run} holds no run to plot: metrics.jsonl is missing or empty")
    return rows


def axis(runs: list[list[dict[str, Any]]], x: str | None) -> str:
    """The column of the horizontal axis; the default is one that all runs have."""
    if x is not None:
        checks.one_of("x", x, AXES)
    if x in (None, "steps"):
        return "steps" if all(rows[-1].get("steps") for rows in runs) else "generation"
    return x


def column(rows: list[dict[str, Any]], name: str) -> list[float]:
    """A number of every row, NaN where it is missing."""
    return [math.nan if row.get(name) is None else row[name] for row in rows]


def lone(*columns: list[float]) -> dict[str, Any]:
    """What a line needs to be seen where it is a single point: a marker."""
    return {"marker": "o", "markersize": 5} if sum(map(_is_there, zip(*columns))) == 1 else {}


def _is_there(point: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, point))


def finish(axes: Any, x: str, label: str) -> None:
    """Name the axes of a panel, and give it its looks."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel(AXES[x])
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    room = FLAT * max(abs(low), abs(high)) - (high - low)
    if room > 0:
        axes.set_ylim(low - room / 2, high + room / 2)
    if x == "steps":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def write(figure: Any, path: Path) -> Path:
    """Write a picture at once or not at all."""
    scratch = path.with_name(f".{path.name}.tmp")
    figure.savefig(scratch, dpi=120, format=path.suffix.lstrip(".") or "png")
    scratch.replace(path)
    return path
