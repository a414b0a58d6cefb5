"""Draw the README's picture beside evosax, docs/images/beside_evosax.png, from benchmarks/results/*.json.

python benchmarks/_picture.py
"""

from pathlib import Path
from typing import Any

import _measure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

PATH = Path(__file__).parents[1] / "docs/images/beside_evosax.png"
OURS, THEIRS, SAME, INK = "#1f6fd6", "#a3a9b1", "#e08a2e", "0.3"
MEMBERS, WIDTHS = 1024, (64, 256)
ENV = "brax/hopper"
LINES = {  # side of curves.json: (name, color)
    "jaxes": ("jaxes", OURS),
    "evosax, numbers of jaxes": ("evosax, settings of jaxes", SAME),
    "evosax": ("evosax, its own settings", THEIRS),
}


def bars(axes: Axes, rows: dict[int, dict[str, Any]], unit: str, ratio: str) -> None:
    """A pair of bars for each width, and above it how many times less jaxes needs."""
    places = []
    for i, (width, row) in enumerate(rows.items()):
        top = 3.4 * i
        about = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(0.01, top - 0.95, f"width {width}: ", fontsize=9, color=INK, **about)
        axes.text(0.32, top - 0.95, f"{row[ratio]:.0f}× less", fontsize=10, fontweight="bold", color=OURS, **about)
        for j, (side, kind, color) in enumerate((("evosax", "full rank", THEIRS), ("jaxes", "rank 1", OURS))):
            value = row[f"{side}_{unit}"]
            label = f" {value:,.0f}" if i else f" {value:,.0f}  ({kind})"
            axes.barh(top + j, value, height=0.82, color=color)
            axes.text(value, top + j, label, va="center", fontsize=9, color=INK)
            places.append((top + j, side))
    axes.set_yticks(*zip(*places, strict=True))
    axes.tick_params(left=False)
    axes.set_xlim(0, 1.14 * max(row[f"evosax_{unit}"] for row in rows.values()))
    axes.set_ylim(3.4 * len(rows) - 1.8, -1.6)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def curves(axes: Axes, sides: dict[str, Any]) -> None:
    """Score against seconds of the sides' first runs."""
    for side, (name, color) in LINES.items():
        rows = sides[side]["0"]["rows"]
        x, y = ([row[what] for row in rows] for what in ("seconds", "evaluation"))
        axes.plot(x, y, color=color, marker="o", markersize=3.5, linewidth=2, label=name)
    axes.set_xlim(0)
    axes.set_ylim(0, 1.4 * max(row["evaluation"] for side in LINES for row in sides[side]["0"]["rows"]))  # the legend
    axes.set_xlabel("seconds, compiling included", fontsize=9, color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, handlelength=1.2, borderaxespad=0.2)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)


def draw() -> Path:
    """Write the picture."""
    figures = _measure.load("lowrank")["figures"]
    rows = {width: figures[f"generation, width {width}, {MEMBERS} members"] for width in WIDTHS}
    figure = Figure(figsize=(9.6, 3.1), layout=ConstrainedLayoutEngine(wspace=0.06))
    time, memory, score = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    bars(time, rows, "ms", "time ratio")
    bars(memory, rows, "mib", "memory ratio")
    curves(score, _measure.load("curves")["runs"][ENV])
    titles = "Time of a generation, ms", "Memory of a generation, MiB", f"Score on {ENV}"
    for axes, title in zip((time, memory, score), titles, strict=True):
        axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("0.6")
        axes.tick_params(color="0.6", labelcolor=INK, labelsize=9)
    PATH.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PATH, dpi=200)
    return PATH


if __name__ == "__main__":
    print(draw())
