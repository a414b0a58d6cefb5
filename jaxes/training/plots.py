"""Pictures of runs, drawn from their metrics, and of searches, drawn from their history."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxes.support import checks
from jaxes.training import about

AXES = {"steps": "environment steps", "seconds": "seconds", "generation": "generations"}
"""What the horizontal axis may be, and how it is called."""

_Curve = tuple[list[float], list[float]]
"""Where and how good."""

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
    rows = _rows(run)
    config = about.read(run) or {}
    x = _axis([rows], x)
    at = _column(rows, x)
    small = [
        (name, label, color)
        for name, label, color in (
            ("episode_length", "episode length", _BLUE),
            ("sigma", "sigma", _PURPLE),
            ("grad_norm", "gradient norm", _ORANGE),
        )
        if any(math.isfinite(value) for value in _column(rows, name))
    ]
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    score, *others = _panels(figure, 1 + len(small))
    if any(row.get("best") is not None for row in rows):
        score.plot(at, _column(rows, "best"), color=_ORANGE, linewidth=0.8, alpha=0.8, label="best member")
        score.plot(at, _column(rows, "mean"), color=_BLUE, linewidth=1.0, label="mean of the members")
    _evaluations(score, rows, x)
    if config.get("target") is not None:
        score.axhline(config["target"], color=_GREY, linewidth=1, linestyle="--", label=f"target {config['target']:g}")
    if score.get_legend_handles_labels()[0]:
        score.legend(loc="best", fontsize="small", frameon=False)
    _finish(score, x, "score")
    for axes, (name, label, color) in zip(others, small):
        values = _column(rows, name)
        axes.plot(at, values, color=color, linewidth=1.2)
        _finish(axes, x, label)
        _scale(axes, values)
    figure.suptitle(_title(run, rows, config), x=0.01, ha="left", fontsize="large")
    return _write(figure, Path(out) if out else run / "reward.png")


def compare(runs: Sequence[str | Path], out: str | Path, x: str | None = None) -> Path:
    """Draw the evaluations of several runs into one picture, with a panel for each environment.

    Runs that differ in nothing but their seeds share a color: a thin line each, their mean, and a band from the lowest
    to the highest, both where all of them have numbers: a mean of others would jump where a run begins or ends. More
    than three colors have no bands, which would hide each other.

    Args:
        runs: the folders of the runs; one that is named twice is drawn once.
        out: the picture to write.
        x: the horizontal axis: "steps", "seconds" or "generation"; steps by default, if all runs count them.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError: if a folder holds no run.
    """
    from matplotlib.figure import Figure

    folders = list({Path(run).resolve(): None for run in runs})
    held = [(run, _rows(run)) for run in folders]
    x = _axis([rows for _, rows in held], x)
    common = os.path.commonpath([run.parent for run in folders])
    panels: dict[str, list[_Group]] = {}
    for run, rows in held:
        env, settings, seed = _identity(run, os.path.relpath(run, common))
        groups = panels.setdefault(env, [])
        same = next((group for group in groups if group.settings == settings), None)
        if same is None:
            same = _Group(settings, [], [])
            groups.append(same)
        same.seeds.append(seed)
        same.curves.append(_curve(rows, x))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(7.5, 5 * columns), max(4.8, 3.8 * lines)), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (env, groups) in zip(grid, panels.items()):
        labels = [label + _count(g.seeds) for label, g in zip(_labels([g.settings for g in groups]), groups)]
        _means(axes, labels, [group.curves for group in groups])
        axes.set_title(env, loc="left", fontsize="medium")
        _finish(axes, x, "score")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return _write(figure, Path(out))


def sweep(settings: Sequence[str], scores: Any, generations: Sequence[int], out: str | Path, title: str) -> Path:
    """Draw what a sweep gave: for each setting the mean over its seeds, a band from lowest to highest, and the seeds.

    Args:
        settings: their names.
        scores: float[settings, seeds, rows].
        generations: int[rows], the horizontal axis.
        out: the picture to write.
        title: stands above it.

    Returns:
        The path of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    at = [*map(float, generations)]
    labels = [name + _count(range(len(seeds))) for name, seeds in zip(settings, scores)]
    _means(axes, labels, [[(at, [*map(float, seed)]) for seed in seeds] for seeds in scores])
    axes.set_title(title, loc="left", fontsize="medium")
    _finish(axes, "generation", "score")
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


def _rows(run: Path) -> list[dict[str, Any]]:
    from jaxes.training.metrics import read

    rows = read(run)
    if not rows:
        raise FileNotFoundError(f"{run} holds no run to plot: metrics.jsonl is missing or empty")
    return rows


def _axis(runs: list[list[dict[str, Any]]], x: str | None) -> str:
    """The column of the horizontal axis; the default is one that all runs have."""
    if x is not None:
        checks.one_of("x", x, AXES)
    if x in (None, "steps"):
        return "steps" if all(rows[-1].get("steps") for rows in runs) else "generation"
    return x


def _column(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [math.nan if row.get(name) is None else row[name] for row in rows]


def _panels(figure: Any, count: int) -> list[Any]:
    """Axes: the first has a row of its own where the others do not fill the grid."""
    if count < 3:
        return list(figure.subplots(count, 1, squeeze=False).ravel())
    grid = figure.add_gridspec(2, 2)
    if count == 3:
        return [figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1])]
    return [figure.add_subplot(grid[i, j]) for i in range(2) for j in range(2)]


def _finish(axes: Any, x: str, label: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel(AXES[x])
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    if x == "steps":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


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
    at, score, std = (_column(rows, name) for name in (x, "evaluation", "evaluation_std"))
    marker = "o" if len(rows) < 40 else None
    axes.plot(at, score, color=_GREEN, marker=marker, markersize=3, linewidth=1.8, label="evaluation ± 1 std")
    below, above = ([m + sign * s for m, s in zip(score, std)] for sign in (-1, 1))
    axes.fill_between(at, below, above, color=_GREEN, alpha=0.15, linewidth=0)
    if rows[-1].get("confirmation") is not None:
        axes.plot(at[-1:], [rows[-1]["confirmation"]], "*", color=_GREEN, markersize=11, label="fresh episodes")


def _curve(rows: list[dict[str, Any]], x: str) -> _Curve:
    """Where and how good: the evaluations of a run, or else the mean of its members."""
    name = "evaluation" if any(row.get("evaluation") is not None for row in rows) else "mean"
    rows = [row for row in rows if row.get(name) is not None and row.get(x) is not None]
    return _column(rows, x), _column(rows, name)


class _Group(NamedTuple):
    """Runs that differ in nothing but their seeds."""

    settings: dict[str, Any]
    seeds: list[Any]
    curves: list[_Curve]


_MOST_BANDS = 3  # more of them hide each other


def _means(axes: Any, labels: Sequence[str], groups: Sequence[list[_Curve]]) -> None:
    """Draw groups of curves, each with its label, and say what lines and bands are."""
    from matplotlib import colormaps

    many = len(groups) > 10
    for i, (label, curves) in enumerate(zip(labels, groups)):
        color = colormaps["turbo"](i / (len(groups) - 1)) if many else f"C{i}"
        _mean(axes, curves, color, label, band=len(groups) <= _MOST_BANDS)
    axes.legend(fontsize="small", frameon=False, alignment="left", title_fontsize="small")
    if len(axes.get_lines()) > len(groups):
        words = "mean, band from lowest to highest" if axes.collections else "mean, thin lines for each seed"
        axes.get_legend().set_title(words)


def _mean(axes: Any, curves: list[_Curve], color: Any, label: str, band: bool) -> None:
    """Draw curves as thin lines; where all have values, their mean, and a band from the lowest to the highest."""
    import numpy as np

    curves = [curve for curve in curves if curve[0]]
    if len(curves) < 2:
        axes.plot(*(curves[0] if curves else ([], [])), color=color, linewidth=1.8, label=label)
        return
    at = np.unique(np.concatenate([x for x, _ in curves]))
    values = np.array([np.interp(at, *curve, left=np.nan, right=np.nan) for curve in curves])
    everywhere = np.isfinite(values).all(0)
    at, values = at[everywhere], values[:, everywhere]
    marker = "o" if len(at) == 1 else None
    axes.plot(at, values.mean(0), color=color, linewidth=1.8, marker=marker, markersize=4, label=label)
    if band:
        axes.fill_between(at, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0)
    for curve in curves:
        axes.plot(*curve, color=color, linewidth=0.6, alpha=0.5)


def _count(seeds: Sequence[Any]) -> str:
    """How many seeds a curve is of, or how many runs where seeds repeat or are not known; nothing for one."""
    known = None not in seeds and len(set(seeds)) == len(seeds)
    return f" ({len(seeds)} {'seeds' if known else 'runs'})" if len(seeds) > 1 else ""


def _identity(run: Path, name: str) -> tuple[str, dict[str, Any], Any]:
    """The environment of a run, the settings that tell it from others (without its seed), and its seed."""
    config = about.read(run)
    if config is None or about.is_by_fit(config):
        settings = {} if config is None else config["settings"]
        if "seed" not in settings:
            settings = {**settings, "run": name}  # nothing says which runs differ in their seeds only
        return settings.get("env", "score"), _unseeded(settings), settings.get("seed")
    return config["env"], _unseeded(config), config.get("seed")


def _unseeded(settings: dict[str, Any]) -> dict[str, Any]:
    from jaxes.training import config

    apart = {"env", "seed", "versions", "evaluate_every", "report_every", "evaluation_episodes", "track"}
    apart |= {*config.LIMITS, *config.WHERE}
    return {name: value for name, value in settings.items() if name not in apart}


def _labels(groups: list[dict[str, Any]]) -> list[str]:
    """What tells the groups of settings from each other; their strategy where nothing does."""
    names = list(dict.fromkeys(name for settings in groups for name in settings))
    told = [name for name in names if any(settings.get(name) != groups[0].get(name) for settings in groups)]

    def label(settings):
        bare = ("strategy", "run")
        parts = [str(settings[name]) for name in bare if name in settings and (name in told or not told)]
        parts += [f"{name} {_short(settings.get(name))}" for name in told if name not in bare]
        return ", ".join(parts) or "run"

    return [label(settings) for settings in groups]


def _short(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _title(run: Path, rows: list[dict[str, Any]], config: dict[str, Any]) -> str:
    what = f"{config['env']}, {config['strategy']}, seed {config['seed']}" if "strategy" in config else run.name
    last = next((row for row in reversed(rows) if row.get("evaluation") is not None), {})
    fresh = last.get("confirmation")
    end = "" if not last else f": {last['evaluation']:.4g}" if fresh is None else f": {fresh:.4g} on fresh episodes"
    return f"{what}{end} after {rows[-1]['generation']} generations, {rows[-1]['seconds']:.0f} s"


def _write(figure: Any, path: Path) -> Path:
    scratch = path.with_name(f".{path.name}.tmp")
    figure.savefig(scratch, dpi=120, format=path.suffix.lstrip(".") or "png")
    scratch.replace(path)
    return path
