"""The learning curve of one run."""

import math
from pathlib import Path
from typing import Any

from jaxes.support import words
from jaxes.training import about
from jaxes.training.plots import parts

_GREEN, _BLUE, _ORANGE, _PURPLE, _GREY = "#2a8f5c", "#3574b2", "#dd8a3c", "#7a5aa6", "#8a8f98"


def reward(run: str | Path, out: str | Path | None = None, x: str | None = None) -> Path:
    """Draw the learning curve of a run: score, length of the episodes, sigma and gradient norm, each in its panel.

    Panels of which the run has no numbers, such as the episodes of a benchmark function, are left out.

    Args:
        run: the folder of the run.
        out: the picture to write; `reward.png` in the folder by default.
        x: the horizontal axis: "steps", "seconds" or "generation"; steps by default, if the run counts them.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError: if the folder holds no run.
    """
    from matplotlib.figure import Figure

    run = Path(run)
    rows = parts.rows_of(run)
    config = about.read(run) or {}
    x = parts.axis([rows], x)
    at = parts.column(rows, x)
    small = [
        (name, label, color)
        for name, label, color in (
            ("episode_length", "episode length", _BLUE),
            ("sigma", "sigma", _PURPLE),
            ("grad_norm", "gradient norm", _ORANGE),
        )
        if any(math.isfinite(value) for value in parts.column(rows, name))
    ]
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    score, *others = _panels(figure, 1 + len(small))
    if any(row.get("best") is not None for row in rows):
        for name, label, look in (
            ("best", "best member", {"color": _ORANGE, "linewidth": 0.8, "alpha": 0.8}),
            ("mean", "mean of the members", {"color": _BLUE, "linewidth": 1.0}),
        ):
            values = parts.column(rows, name)
            score.plot(at, values, label=label, **look, **parts.lone(at, values))
    _evaluations(score, rows, x)
    if config.get("target") is not None:
        score.axhline(config["target"], color=_GREY, linewidth=1, linestyle="--", label=f"target {config['target']:g}")
    if score.get_legend_handles_labels()[0]:
        score.legend(loc="best", fontsize="small", frameon=False)
    parts.finish(score, x, "score")
    for axes, (name, label, color) in zip(others, small):
        values = parts.column(rows, name)
        axes.plot(at, values, color=color, linewidth=1.2, **parts.lone(at, values))
        parts.finish(axes, x, label)
        _scale(axes, values)
    figure.suptitle(_title(run, rows, config), x=0.01, ha="left", fontsize="large")
    return parts.write(figure, Path(out) if out else run / "reward.png")


def _panels(figure: Any, count: int) -> list[Any]:
    """Axes: the first has a row of its own where the others do not fill the grid."""
    if count < 3:
        return list(figure.subplots(count, 1, squeeze=False).ravel())
    grid = figure.add_gridspec(2, 2)
    if count == 3:
        return [figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1])]
    return [figure.add_subplot(grid[i, j]) for i in range(2) for j in range(2)]


def _scale(axes: Any, values: list[float]) -> None:
    """A logarithmic axis where values span more than two decades, else one that begins at nothing."""
    valid = [value for value in values if math.isfinite(value)]
    if min(valid) > 0 and max(valid) > 100 * min(valid):
        axes.set_yscale("log")
    elif min(valid) >= 0:
        axes.set_ylim(0, 1.1 * max(valid) or 1)


def _evaluations(axes: Any, rows: list[dict[str, Any]], x: str) -> None:
    """Draw the evaluations as a line, with a band of one standard deviation over the episodes."""
    rows = [row for row in rows if row.get("evaluation") is not None]
    if not rows:
        return
    at, score, std = (parts.column(rows, name) for name in (x, "evaluation", "evaluation_std"))
    look = parts.lone(at, score) or {"marker": "o" if len(rows) < 40 else None, "markersize": 3}
    axes.plot(at, score, color=_GREEN, linewidth=1.8, label="evaluation ± 1 std", **look)
    if len(rows) == 1:  # no band could be seen
        axes.errorbar(at, score, std, fmt="none", color=_GREEN, alpha=0.5, capsize=4)
    below, above = ([m + sign * s for m, s in zip(score, std)] for sign in (-1, 1))
    axes.fill_between(at, below, above, color=_GREEN, alpha=0.15, linewidth=0)
    if rows[-1].get("confirmation") is not None:
        axes.plot(at[-1:], [rows[-1]["confirmation"]], "*", color=_GREEN, markersize=11, label="fresh episodes")


def _title(run: Path, rows: list[dict[str, Any]], config: dict[str, Any]) -> str:
    what = f"{config['env']}, {config['strategy']}, seed {config['seed']}" if "strategy" in config else run.name
    last = next((row for row in reversed(rows) if row.get("evaluation") is not None), {})
    fresh = last.get("confirmation")
    end = "" if not last else f": {last['evaluation']:.4g}" if fresh is None else f": {fresh:.4g} on fresh episodes"
    return f"{what}{end} after {words.count(rows[-1]['generation'], 'generation')}, {rows[-1]['seconds']:.0f} s"
