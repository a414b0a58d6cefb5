"""What a search has found."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments import limits

SENTENCES = {
    "target": "a value at most the target was found",
    "budget": "another generation would have taken more evaluations than the budget allows",
    "callback": "the callback returned True",
    "interrupted": "it was interrupted",
    "tolfun": "the best values of the last generations, and all of this one, differ by next to nothing",
    "tolfunhist": "the best values of the last generations differ by next to nothing",
    "tolx": "no coordinate's standard deviation is above the tolerance",
    "condition": "the covariance's condition number is above its limit",
    "stagnation": "neither the best nor the median value has improved for long",
    "noeffectaxis": "steps along an axis are too short to change the mean",
    "noeffectcoord": "steps of a coordinate are too short to change the mean",
    "upsigma": "steps have become far longer than at first: sigma was far too small, or there is no minimum",
    "flat": "all values of a generation were equal",
    "invalid": "no member had a value for many generations",
}


def sentence(stop: str, restarts: int) -> str:
    """Why a search has ended."""
    reasons = (
        "; ".join(SENTENCES.get(reason, reason) for reason in stop.split(", ")) if stop else "nothing was evaluated"
    )
    runs = f" in the run after {restarts} restart{'s' * (restarts > 1)}" if restarts and stop not in ("budget",) else ""
    return f"The search ended{runs} because {reasons}."


@dataclasses.dataclass(frozen=True)
class Result:
    """What a search has found."""

    x: Any
    """The best point evaluated, float64[n] or a tree like x0; None if there is none."""
    fun: float
    """Its value, NaN if there is none."""
    nfev: int
    """Evaluations of the function."""
    nit: int
    """Generations."""
    stop: str
    """Why it ended: "target", "budget", "callback", "interrupted" or criteria of `jaxes.termination`."""
    message: str
    """The same as a sentence."""
    xs: list[Any]
    """The best few points evaluated, best first."""
    funs: np.ndarray
    """float64[len(xs)]: their values."""
    mean: Any
    """What the strategy of the last run recommends; of noisy functions better than `x`."""
    sigma: float
    """The last step size."""
    axis_lengths: np.ndarray
    """float64[n]: the last standard deviations along the distribution's axes, rising (along the coordinates for
    strategies without a covariance)."""
    restarts: int
    """Runs after the first."""
    seconds: float
    """Time taken, of the function too."""
    history: dict[str, np.ndarray]
    """Columns with a row for each generation; see `jaxes.minimize_function`."""
    violation: float = 0.0
    """The largest g(x) above 0, if there are constraints; 0 if x is feasible."""
    _resume: Callable[..., "Result"] | None = dataclasses.field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        lines = [
            f"fun: {self.fun!r}",
            f"x: {_short(self.x)}",
            f"nfev: {self.nfev}, nit: {self.nit}, restarts: {self.restarts}, seconds: {self.seconds:.2f}",
            f"stop: {self.stop!r}",
            f"message: {self.message}",
            f"sigma: {self.sigma:.3g}, axis_lengths: {_extent(self.axis_lengths)}",
        ]
        if self.violation:
            lines.insert(1, f"violation: {self.violation:.3g}")
        return "Result(\n" + "".join(f"    {line}\n" for line in lines) + ")"

    def plot(self, out: str | Path | None = None) -> Any:
        """Draw values, step size, axis ratio, mean and deviations over the evaluations.

        Args:
            out: a picture to write.

        Returns:
            The matplotlib figure, which a notebook shows.
        """
        from jaxes.search.running.picture import drawn

        figure = drawn(self.history, self.fun, self.nfev, self.restarts, self.stop)
        if out is not None:
            figure.savefig(out, dpi=120)
        return figure

    def resume(self, *, budget: int | None = None, target: float | None = None) -> "Result":
        """Go on where the search has stopped.

        Args:
            budget: how many evaluations there may be in all; None for no limit.
            target: stop when a value is at most this; None for none.

        Raises:
            RuntimeError: if the result has been pickled; give the search a folder, `out=`, and go on with
                `resume=True`.
        """
        limits.check(budget, target)
        if self._resume is None:
            raise RuntimeError(
                "this result was pickled and has left its search behind; give minimize_function out=FOLDER, and go on "
                "with out=FOLDER, resume=True"
            )
        return self._resume(budget=budget, target=target)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_resume": None}


def _short(x: Any) -> str:
    if isinstance(x, np.ndarray):
        with np.printoptions(threshold=8, edgeitems=3, linewidth=100):
            return repr(x)
    return "None" if x is None else str(jax.tree.map(np.shape, x))


def _extent(lengths: np.ndarray) -> str:
    return f"{lengths[0]:.3g} to {lengths[-1]:.3g}" if np.size(lengths) else "none"
