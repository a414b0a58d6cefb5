"""What a search has found."""

import dataclasses
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxes.search.arguments import limits

SENTENCES = {
    "target": "a value reached the target",
    "budget": "the budget allows no other generation",
    "seconds": "its time was over",
    "callback": "the callback returned True",
    "interrupted": "it was interrupted",
    "tolfun": "values no longer differ",
    "tolfunhist": "the best values no longer change",
    "tolx": "its steps are below the tolerance",
    "condition": "its covariance is too ill-conditioned",
    "stagnation": "values have not improved for long",
    "noeffectaxis": "steps along an axis are too short to change the mean",
    "noeffectcoord": "steps of a coordinate are too short to change the mean",
    "upsigma": "steps grew without end: sigma was far too small, or there is no minimum",
    "flat": "all values were equal",
    "invalid": "no member had a value for many generations",
}


def sentence(stop: str, restarts: int = 0) -> str:
    """Why a search has ended.

    >>> sentence("tolfun, tolx")
    'The search ended: values no longer differ, and its steps are below the tolerance (tolfun, tolx).'
    """
    if not stop:
        return "Nothing was evaluated."
    reasons = ", and ".join(SENTENCES.get(reason, reason) for reason in stop.split(", "))
    name = f" ({stop})" if stop.split(", ")[0] in SENTENCES else ""
    runs = f" after {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
    return f"The search ended{runs}: {reasons}{name}."


@dataclasses.dataclass(frozen=True)
class Result:
    """What a search has found.

    Attributes:
        x: the best point evaluated, float64[n] or a tree like `x0`; None if there is none.
        fun: its value, NaN if there is none.
        nfev: evaluations of the function.
        nit: generations.
        stop: why it ended: "target", "budget", "seconds", "callback", "interrupted" or criteria of
            `jaxes.termination`.
        message: the same as a sentence.
        xs, funs: the best few points evaluated and their values float64[len(xs)], best first.
        mean: what the strategy of the last run recommends; of noisy functions better than a single point.
        sigma: the last step size.
        axis_lengths: float64[n], the last standard deviations along the distribution's axes, rising (along the
            coordinates for strategies without a covariance).
        restarts: runs after the first.
        seconds: time taken, of the function too.
        history: columns with a row for each generation; see `jaxes.minimize_function`.
        violation: the largest g(x) above 0, if there are constraints; 0 if x is feasible.
        maximized: whether higher values were better (`jaxes.ESOpt`).
    """

    x: Any
    fun: float
    nfev: int
    nit: int
    stop: str
    message: str
    xs: list[Any]
    funs: np.ndarray
    mean: Any
    sigma: float
    axis_lengths: np.ndarray
    restarts: int
    seconds: float
    history: dict[str, np.ndarray]
    violation: float = 0.0
    maximized: bool = False
    _resume: Callable[..., "Result"] | str = dataclasses.field(default="", repr=False, compare=False)

    def __repr__(self) -> str:
        x = _numbers(self.x)
        lines = [
            f"fun: {self.fun!r}",
            f"x: {x}",
            f"nfev: {self.nfev}, nit: {self.nit}, restarts: {self.restarts}, seconds: {self.seconds:.2f}",
            f"stop: {self.stop!r}",
            f"message: {self.message}",
            f"sigma: {self.sigma:.3g}, axis_lengths: {_extent(self.axis_lengths)}",
        ]
        if self.violation:
            lines.insert(1, f"violation: {self.violation:.3g}")
        wrap = lambda line: textwrap.fill(line, 79, initial_indent="    ", subsequent_indent="        ")
        return "Result(\n" + "".join(f"{wrap(line)}\n" for line in lines) + ")"

    def plot(self, out: str | Path | None = None) -> Any:
        """Draw values, step size, axis ratio, mean and deviations over the evaluations.

        Args:
            out: a picture to write.

        Returns:
            The matplotlib figure, which a notebook shows.
        """
        from jaxes.search.running.picture import drawn

        figure = drawn(self.history, self.fun, self.nfev, self.restarts, self.stop, self.maximized)
        if out is not None:
            figure.savefig(out, dpi=120)
        return figure

    def resume(self, *, budget: int | None = None, target: float | None = None) -> "Result":
        """Go on where the search has stopped.

        Args:
            budget: how many evaluations there may be in all, those before included; None for no limit.
            target: stop when a value is at most this; None for none.

        Raises:
            RuntimeError: if the search has gone on from this result already, if the result has been pickled, or if it
                is of an `ESOpt`.
            ValueError: if the budget has been spent.
        """
        limits.check(budget, target)
        if isinstance(self._resume, str):
            raise RuntimeError(self._resume)
        if budget is not None and budget <= self.nfev:
            raise ValueError(f"budget must be above the {self.nfev} evaluations until now, which count, got {budget}")
        return self._resume(self.nit, budget=budget, target=target)

    def __getstate__(self) -> dict[str, Any]:
        reason = (
            "a result that was pickled has left its search behind; give minimize_function out=FOLDER, and go on with "
            "out=FOLDER, resume=True"
        )
        return {**self.__dict__, "_resume": reason}


def _numbers(x: Any) -> str:
    """The numbers of a point, or of a tree of a few; of a large tree the shapes."""
    if x is None:
        return "None"
    with np.printoptions(threshold=8, edgeitems=3, linewidth=10_000, precision=8):
        if isinstance(x, np.ndarray):
            return np.array2string(x, separator=", ")
        if sum(np.size(leaf) for leaf in jax.tree.leaves(x)) > 20:
            return str(jax.tree.map(np.shape, x))
        return str(jax.tree.map(lambda leaf: leaf.item() if np.ndim(leaf) == 0 else leaf.tolist(), x))


def _extent(lengths: np.ndarray) -> str:
    return f"{lengths[0]:.3g} to {lengths[-1]:.3g}" if np.size(lengths) else "none"
