"""The history of a search by `jaxes.minimize_function`."""

import json
from pathlib import Path

from jaxes.search.running.picture import drawn
from jaxes.training.plots import parts


def optimization(folder: str | Path, out: str | Path | None = None) -> Path:
    """Draw the history of a search by `jaxes.minimize_function`: values, step size, axis ratio, mean and deviations.

    Args:
        folder: what `jaxes.minimize_function` was given as `out`.
        out: the picture to write; `optimization.png` in the folder by default.

    Returns:
        The path of the picture.
    """
    folder = Path(folder)
    kept = json.loads((folder / "history.json").read_text())
    figure = drawn(kept["history"], kept["fun"], kept["nfev"], kept["restarts"], kept["stop"])
    return parts.write(figure, Path(out) if out else folder / "optimization.png")
