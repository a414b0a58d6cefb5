"""A point where all constraints just hold, beside the members of a generation.

Around a solution at which k constraints are active, about one member in 2^k is feasible, and its value is off by a
step size or so. One point more, moved onto the constraints by a linear model of the members, is off by its square.
"""

from collections.abc import Mapping

import numpy as np


class Boundary:
    """Proposes a point for evaluation, and learns from what came of it.

    The model is the members themselves: a sum of their deviations from their mean whose constraints add up to what is
    wanted, the least such sum. For linear constraints this is exact, if there are more members than constraints.

    >>> boundary = Boundary()
    >>> x = np.random.default_rng(0).normal([1.0, 0.0], 0.1, (10, 2))
    >>> point = boundary.propose(x, 1 - x[:, :1], np.sum(x**2, axis=1), np.array([True]))
    >>> bool(1 < point[0] < 1.02)
    True
    """

    FIRST = 0.1
    """Standard deviations by which constraints are wanted to hold, at first."""
    RISE, FALL = 2.0, 0.8
    """How that margin changes where one was broken, and where not."""
    REST = 8
    """Generations at most without a point, after points that were no better."""
    ROWS = 3
    """Members for each constraint that the model has."""
    FAR = 5.0
    """Standard deviations by which a constraint holds that is left out."""

    def __init__(self) -> None:
        self._margins = np.zeros(0)
        self._x, self._g = np.zeros((0, 0)), np.zeros((0, 0))  # deviations from the mean of their generation
        self._rest, self._wait = np.ones(()), np.zeros(())
        self._moved = np.zeros(0, bool)

    def propose(self, x: np.ndarray, g: np.ndarray, values: np.ndarray, active: np.ndarray) -> np.ndarray | None:
        """A point float64[n], or None if there is no need of one in this generation.

        Args:
            x: float64[k, n], members.
            g: float64[k, m], their constraints.
            values: float64[k], what they are ranked by.
            active: bool[m], the constraints that are to hold without a gap.
        """
        known = np.isfinite(g).all(axis=1) & ~np.isnan(values)
        x, g, values = x[known], g[known], values[known]
        if len(x) < 2:
            return None
        if not self._margins.size:
            self._margins, self._moved = np.full(g.shape[1], self.FIRST), np.zeros(g.shape[1], bool)
            self._x, self._g = np.zeros((0, x.shape[1])), np.zeros((0, g.shape[1]))
        self._add(x - x.mean(axis=0), g - g.mean(axis=0))
        if self._wait > 0:
            self._wait = self._wait - 1
            return None
        weights = _weights(values)
        spread = g.std(axis=0)
        if not active.any() or not (spread[active] > 0).all():
            return None
        spread = np.where(spread > 0, spread, 1.0)
        return self._model(weights @ x, weights @ g / spread, self._g / spread, active)

    def _add(self, x: np.ndarray, g: np.ndarray) -> None:
        older = max(0, self.ROWS * g.shape[1] - len(g))
        self._x = np.concatenate([self._x[max(0, len(self._x) - older) :], x])
        self._g = np.concatenate([self._g[max(0, len(self._g) - older) :], g])

    def _model(self, x: np.ndarray, now: np.ndarray, g: np.ndarray, active: np.ndarray) -> np.ndarray | None:
        moved = active & (now > -self.FAR)
        if not moved.any():
            return None
        for _ in range(5):  # until no other constraint would be broken
            rows = g[:, moved]
            products = rows.T @ rows
            products += 1e-8 * np.diag(np.diag(products)) + 1e-300 * np.eye(len(products))
            shares = rows @ np.linalg.solve(products, (-self._margins - now)[moved])
            more = ~moved & (now + shares @ g > -self._margins / 2)
            if not more.any():
                break
            moved = moved | more
        self._moved = moved
        return x + shares @ self._x

    def learn(self, g: np.ndarray, better: bool) -> None:
        """Take in what came of the point.

        Args:
            g: float64[m], its constraints.
            better: whether it is the best point so far.
        """
        raised = np.minimum(self._margins * self.RISE, 1.0)
        kept = np.where(self._moved, self._margins * self.FALL, self._margins)
        self._margins = np.where(g <= 0, kept, raised)
        self._rest = np.array(1.0 if better else min(2 * self._rest, self.REST))
        self._wait = self._rest - 1

    def state(self) -> dict[str, np.ndarray]:
        """All that changes."""
        return {name: np.array(value) for name, value in vars(self).items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` has returned."""
        for name in vars(self):
            setattr(self, name, np.array(state[name]))


def _weights(values: np.ndarray) -> np.ndarray:
    """float64[k]: logarithmic weights of the better half, zero for the others."""
    best = np.argsort(values, kind="stable")[: max(1, values.size // 2)]
    weights = np.zeros(values.size)
    weights[best] = np.log(best.size + 0.5) - np.log(np.arange(1, best.size + 1))
    return weights / weights.sum()
