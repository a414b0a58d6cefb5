"""Pictures of runs, drawn from their metrics, and of searches, drawn from their history."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def reward(run: str | Path, out: str | Path | None = None) -> Path:
    """Draw the learning curve of a run: the best, the mean and the evaluations above, and the number of elites below.

    Args:
        run: the folder of the run.
        out: the picture to write; `reward.png` in the folder by default.

    Returns:
        The path of the picture.
    """
    from matplotlib.figure import Figure

    run = Path(run)
    rows = _rows(run)
    figure = Figure(figsize=(8, 6), layout="constrained")
    score, elites = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    name, x = _axis(rows)
    score.plot(x, _column(rows, "best"), color="tab:orange", linewidth=0.8, alpha=0.7, label="best of the population")
    score.plot(x, _column(rows, "mean"), color="tab:blue", linewidth=1.2, label="mean of the population")
    _evaluations(score, rows, name, "tab:green", "evaluation of the recommended parameters")
    score.set_ylabel("score")
    score.set_title(_title(run, rows))
    score.legend(loc="best", fontsize="small")
    elites.plot(x, _column(rows, "elites"), color="tab:purple", linewidth=1)
    elites.set_ylabel("members above\nthe mean")
    elites.set_ylim(bottom=0)
    elites.set_xlabel(name)
    for axes in (score, elites):
        axes.grid(alpha=0.3)
    return _write(figure, Path(out) if out else run / "reward.png")


def compare(runs: Sequence[str | Path], out: str | Path, x: str = "steps") -> Path:
    """Draw the evaluations of several runs into one picture.

    Args:
        runs: the folders of the runs.
        out: the picture to write.
        x: the horizontal axis: "steps", "seconds" or "generation".

    Returns:
        The path of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for i, run in enumerate(runs):
        rows = _rows(Path(run))
        _evaluations(axes, rows, x, f"C{i}", Path(run).name)
    axes.set_xlabel(_LABELS.get(x, x))
    axes.set_ylabel("evaluation of the recommended parameters")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return _write(figure, Path(out))


def optimization(folder: str | Path, out: str | Path | None = None) -> Path:
    """Draw the history of a search by `jaxes.minimize_function`: values, step size, axis ratio, mean and deviations.

    Args:
        folder: what `jaxes.minimize_function` was given as `out`.
        out: the picture to write; `optimization.png` in the folder by default.

    Returns:
        The path of the picture.
    """
    import numpy as np
    from matplotlib.figure import Figure

    folder = Path(folder)
    kept = json.loads((folder / "history.json").read_text())
    history = {name: np.array(values, dtype=float) for name, values in kept["history"].items()}
    x = history["nfev"]
    lowest = np.nanmin(history["fun"])
    figure = Figure(figsize=(10, 7), layout="constrained")
    values, mean, sizes, deviation = figure.subplots(2, 2, sharex=True).ravel()
    distance = np.where(history["best"] > lowest, history["best"] - lowest, np.nan)
    values.semilogy(x, np.abs(history["best"]), color="tab:blue", linewidth=1, label="|best of the generation|")
    values.semilogy(x, distance, color="tab:cyan", linewidth=0.8, label="best - lowest of all")
    values.semilogy(x, np.abs(history["median"]), color="tab:orange", linewidth=0.6, alpha=0.7, label="|median|")
    values.set_ylabel("value")
    sizes.semilogy(x, history["sigma"], color="tab:green", linewidth=1, label="sigma")
    if (history["axis_ratio"] > 1).any():
        sizes.semilogy(x, history["axis_ratio"], color="tab:red", linewidth=1, label="axis ratio")
    for axes, name, draw in ((mean, "mean", mean.plot), (deviation, "deviation", deviation.semilogy)):
        draw(x, history[name], linewidth=0.8)
        axes.set_ylabel({"mean": "coordinates of the mean", "deviation": "standard deviations"}[name])
    ends = x[:-1][np.diff(history["run"]) > 0]
    for axes in (values, mean, sizes, deviation):
        axes.grid(alpha=0.3)
        for end in ends:
            axes.axvline(end, color="black", linewidth=0.5, alpha=0.4)
    for axes in (values, sizes):
        axes.legend(fontsize="small")
    for axes in (sizes, deviation):
        axes.set_xlabel("evaluations")
    figure.suptitle(f"{kept['fun']:.6g} after {kept['nfev']} evaluations, {kept['restarts']} restarts: {kept['stop']}")
    return _write(figure, Path(out) if out else folder / "optimization.png")


_LABELS = {"steps": "environment steps", "seconds": "seconds", "generation": "generations"}


def _rows(run: Path) -> list[dict[str, Any]]:
    from jaxes.training.metrics import read

    rows = read(run)
    if not rows:
        raise FileNotFoundError(f"{run} holds no run to plot: metrics.jsonl is missing or empty")
    return rows


def _axis(rows: list[dict[str, Any]]) -> tuple[str, list[float]]:
    name = "steps" if rows[-1].get("steps") else "generation"
    return _LABELS[name], _column(rows, name)


def _column(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [float("nan") if row.get(name) is None else row[name] for row in rows]


def _evaluations(axes: Any, rows: list[dict[str, Any]], x: str, color: str, label: str) -> None:
    """Draw the evaluations as a line, with a band of one standard deviation over the episodes."""
    x = next((name for name, text in _LABELS.items() if text == x), x)
    rows = [row for row in rows if row.get("evaluation") is not None]
    if not rows:
        return
    at, score, std = (_column(rows, name) for name in (x, "evaluation", "evaluation_std"))
    axes.plot(at, score, color=color, marker="o", markersize=3, linewidth=1.8, label=label)
    axes.fill_between(
        at, [m - s for m, s in zip(score, std)], [m + s for m, s in zip(score, std)], color=color, alpha=0.15
    )


def _title(run: Path, rows: list[dict[str, Any]]) -> str:
    path = run / "config.json"
    what = run.name
    if path.exists():
        config = json.loads(path.read_text())
        what = f"{config['env']}, {config['strategy']}, seed {config['seed']}"
    scores = [row["evaluation"] for row in rows if row.get("evaluation") is not None]
    end = f": {scores[-1]:.0f}" if scores else ""
    return f"{what}{end} after {rows[-1]['generation']} generations, {rows[-1]['seconds']:.0f} s"


def _write(figure: Any, path: Path) -> Path:
    scratch = path.with_name(f".{path.name}.tmp")
    figure.savefig(scratch, dpi=120, format=path.suffix.lstrip(".") or "png")
    scratch.replace(path)
    return path
