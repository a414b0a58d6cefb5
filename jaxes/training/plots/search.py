"""The history of a search by `jaxes.minimize_function`."""

import json
from pathlib import Path

from jaxes.training.plots import parts


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
    return parts.write(figure, Path(out) if out else folder / "optimization.png")
