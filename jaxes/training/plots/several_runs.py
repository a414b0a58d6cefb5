"""The curves of several runs, with the mean over the seeds of each setting."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxes.training import about
from jaxes.training.plots import parts

_Curve = tuple[list[float], list[float]]
"""Where and how good."""

_MOST_BANDS = 3  # more of them hide each other


def compare(runs: Sequence[str | Path], out: str | Path, x: str | None = None) -> Path:
    """Draw the evaluations of several runs into one picture, with a panel for each environment.

    Runs that differ in nothing but their seeds share a color: a thin line each, their mean, and a band from the lowest
    to the highest, both where all of them have numbers: a mean of others would jump where a run begins or ends. More
    than three colors have no bands, which would hide each other. Another run of the same seed is no other seed, and has
    a color and the name of its folder.

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
    held = [(run, parts.rows_of(run)) for run in folders]
    x = parts.axis([rows for _, rows in held], x)
    common = os.path.commonpath([run.parent for run in folders])
    panels: dict[str, list[_Group]] = {}
    for run, rows in held:
        name = os.path.relpath(run, common)
        env, settings, seed = _identity(run, name)
        groups = panels.setdefault(env, [])
        alike = [group for group in groups if group.settings == settings]
        same = next((group for group in alike if seed is None or seed not in group.seeds), None)
        if same is None:
            same = _Group(settings, [], [], [])
            groups.append(same)
        same.seeds.append(seed)
        same.names.append(name)
        same.curves.append(_curve(rows, x))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(9.5, 5 * columns), max(4.8, 3.8 * lines)), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (env, groups) in zip(grid, panels.items()):
        labels = [label + _count(group.seeds) for label, group in zip(_labels(_told_apart(groups)), groups)]
        _means(axes, labels, [group.curves for group in groups], outside=len(panels) == 1)
        axes.set_title(env, loc="left", fontsize="medium")
        parts.finish(axes, x, "score")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return parts.write(figure, Path(out))


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

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    at = [*map(float, generations)]
    labels = [name + _count(range(len(seeds))) for name, seeds in zip(settings, scores)]
    _means(axes, labels, [[(at, [*map(float, seed)]) for seed in seeds] for seeds in scores], outside=True)
    axes.set_title(title, loc="left", fontsize="medium")
    parts.finish(axes, "generation", "score")
    return parts.write(figure, Path(out))


def _curve(rows: list[dict[str, Any]], x: str) -> _Curve:
    """Where and how good: the evaluations of a run, or else the mean of its members."""
    name = "evaluation" if any(row.get("evaluation") is not None for row in rows) else "mean"
    rows = [row for row in rows if row.get(name) is not None and row.get(x) is not None]
    return parts.column(rows, x), parts.column(rows, name)


class _Group(NamedTuple):
    """Runs that differ in nothing but their seeds."""

    settings: dict[str, Any]
    seeds: list[Any]
    names: list[str]
    curves: list[_Curve]


def _told_apart(groups: Sequence[_Group]) -> list[dict[str, Any]]:
    """The settings of each group, with the names of its runs where others have the same settings."""
    every = [group.settings for group in groups]
    names = [" to ".join(dict.fromkeys((group.names[0], group.names[-1]))) for group in groups]
    return [{**one, "run": name} if every.count(one) > 1 else one for one, name in zip(every, names)]


def _means(axes: Any, labels: Sequence[str], groups: Sequence[list[_Curve]], outside: bool) -> None:
    """Draw groups of curves, each with its label, and say what lines and bands are, within or beside the axes."""
    from matplotlib import colormaps

    many = len(groups) > 10
    for i, (label, curves) in enumerate(zip(labels, groups)):
        color = colormaps["turbo"](i / (len(groups) - 1)) if many else f"C{i}"
        _mean(axes, curves, color, label, band=len(groups) <= _MOST_BANDS)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if outside else {"loc": "best"}
    axes.legend(fontsize="small", framealpha=1.0, edgecolor="none", alignment="left", title_fontsize="small", **place)
    if len(axes.get_lines()) > len(groups):
        mean = "mean" if all(map(_is_as_long, groups)) else "mean as far as all go"
        band = "band from lowest to highest" if axes.collections else "thin lines for each seed"
        axes.get_legend().set_title(f"{mean}, {band}")


def _is_as_long(curves: list[_Curve]) -> bool:
    """Whether all curves begin and end where the others do."""
    return len({(at[0], at[-1]) for at, _ in curves if at}) < 2


def _mean(axes: Any, curves: list[_Curve], color: Any, label: str, band: bool) -> None:
    """Draw curves as thin lines; where all have values, their mean, and a band from the lowest to the highest."""
    import numpy as np

    curves = [curve for curve in curves if curve[0]]
    if len(curves) < 2:
        at, values = curves[0] if curves else ([], [])
        axes.plot(at, values, color=color, linewidth=1.8, label=label, **parts.lone(at, values))
        return
    at = np.unique(np.concatenate([x for x, _ in curves]))
    values = np.array([np.interp(at, *curve, left=np.nan, right=np.nan) for curve in curves])
    everywhere = np.isfinite(values).all(0)
    at, values = at[everywhere], values[:, everywhere]
    axes.plot(at, values.mean(0), color=color, linewidth=1.8, label=label, **parts.lone([*at], [*values.mean(0)]))
    if band:
        axes.fill_between(at, values.min(0), values.max(0), color=color, alpha=0.1, linewidth=0)
    for curve in curves:
        axes.plot(*curve, color=color, linewidth=0.6, alpha=0.5, **parts.lone(*curve))


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
