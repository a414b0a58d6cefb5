"""The picture of a search: values, step size and axis ratio, mean and deviations over the evaluations."""

from typing import Any

import numpy as np


def drawn(history: dict[str, Any], fun: float, nfev: int, restarts: int, stop: str, maximized: bool = False) -> Any:
    """A matplotlib figure.

    Args:
        history: columns, see `jaxes.minimize_function`.
        fun, nfev, restarts, stop, maximized: of the `Result`.
    """
    from matplotlib.figure import Figure

    if not history:
        raise ValueError("there is nothing to draw: no generation has been completed")
    history = {name: np.asarray(values, dtype=float) for name, values in history.items()}
    x, ends = history["nfev"], np.flatnonzero(np.diff(history["run"]) > 0)
    figure = Figure(figsize=(10, 7), layout="constrained")
    values, mean, sizes, deviation = figure.subplots(2, 2, sharex=True).ravel()
    known = history["fun"][np.isfinite(history["fun"])]
    sign, name = (-1, "highest of all - best") if maximized else (1, "best - lowest of all")
    distance = sign * history["best"] - ((sign * known).min() if known.size else 0)
    values.semilogy(x, np.abs(history["best"]), color="tab:blue", linewidth=1, label="|best of the generation|")
    values.semilogy(x, np.where(distance > 0, distance, np.nan), color="tab:cyan", linewidth=0.8, label=name)
    values.semilogy(x, np.abs(history["median"]), color="tab:orange", linewidth=0.6, alpha=0.7, label="|median|")
    values.set_ylabel("value")
    sizes.semilogy(x, history["sigma"], color="tab:green", linewidth=1, label="sigma")
    if (history["axis_ratio"] > 1).any():
        sizes.semilogy(x, history["axis_ratio"], color="tab:red", linewidth=1, label="axis ratio")
    for axes, what, draw in ((mean, "mean", mean.plot), (deviation, "deviation", deviation.semilogy)):
        draw(x, history[what], linewidth=0.8)
        axes.set_ylabel({"mean": "coordinates of the mean", "deviation": "standard deviations"}[what])
        count = history[what].shape[1]
        if count <= 10:
            axes.legend(axes.lines, [str(i) for i in range(count)], fontsize="x-small", loc="upper right")
    for axes in (values, mean, sizes, deviation):
        axes.grid(alpha=0.3)
        for end in x[ends]:
            axes.axvline(end, color="black", linewidth=0.5, alpha=0.4)
    for axes in (values, sizes):
        axes.legend(fontsize="small")
    for axes in (sizes, deviation):
        axes.set_xlabel("evaluations")
    figure.suptitle(f"{fun:.6g} after {nfev} evaluations, {restarts} restarts: {stop}")
    return figure
