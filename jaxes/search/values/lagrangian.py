"""Constraints as terms of the value: an augmented Lagrangian whose multipliers come from the members.

Atamna, Auger, Hansen: "Linearly convergent evolution strategies via augmented Lagrangian constraint handling", FOGA
2017, minimize f(x) + sum_i l_i g_i(x) + m_i g_i(x)^2 / 2, where a constraint that holds by more than l_i / m_i adds a
constant, and move the multipliers l by the constraints' values at the mean, the factors m by rules of success. Here
multipliers are estimated instead: at the solution the gradient of f + sum_i l_i g_i is zero, so among l >= 0 the right
ones are those for which that sum varies least over the members. This is a least squares estimate of first order
(Nocedal and Wright: "Numerical Optimization", section 18.3) in the metric of the search distribution, without
gradients. Its error falls as the step size does, so that multipliers converge as fast as the search.
"""

from collections.abc import Mapping

import numpy as np

_TINY = 1e-300


class AugmentedLagrangian:
    """Values by which members are ranked where constraints g(x) <= 0 are wanted.

    Nothing depends on the units of f and of each g. Members at which f has no value may break constraints: they are
    ranked by how much. Members with NaN as a constraint, or as f where all constraints hold, get NaN.

    >>> lagrangian = AugmentedLagrangian()
    >>> x = np.random.default_rng(0).normal([1.0, 0.0], 1e-3, (10, 2))  # around the minimum of x_0^2 + x_1^2, x_0 >= 1
    >>> f, g = np.sum(x**2, axis=1), 1 - x[:, :1]
    >>> lagrangian.update(f, g)
    >>> lagrangian.multipliers.round(2)
    array([2.])
    >>> bool(np.ptp(lagrangian.values(f, g)) < 0.1 * np.ptp(f))
    True
    """

    MEMBERS = 4.0
    """For each multiplier, as many members of older generations are remembered."""
    LEAST, FIRST, MOST = 0.1, 0.3, 3.0
    """Factors on g^2 are such that it counts so much of what the Lagrangian varies."""
    RISE, FALL = 2.0, 0.8
    """How much a factor may change in a generation."""
    GROWTH = 1.2
    """How a factor grows where the members break a constraint by more than their spread."""
    STEEP = 10.0
    """How many times as steep as the objective a factor may then make the Lagrangian."""
    NEAR = 2.0
    """Standard deviations from which on a constraint that holds loses its multiplier."""

    def __init__(self) -> None:
        self._unit_f, self._unit_g = np.zeros(()), np.zeros(0)  # what is divided by; zero until it is known
        self._l, self._m = np.zeros(0), np.zeros(0)  # multipliers and factors, in these units
        self._products, self._slopes = np.zeros((0, 0)), np.zeros(0)  # of g with g and with f, weighted
        self._residual = np.zeros(())  # how much the Lagrangian varies

    @property
    def multipliers(self) -> np.ndarray:
        """float64[m]: the estimate of the Lagrange multipliers."""
        return self._l * (self._unit_f or 1.0) / self._unit_g

    def update(self, f: np.ndarray, g: np.ndarray) -> None:
        """Learn from a generation.

        Args:
            f: float64[k], values of the objective; NaN or infinite where it has none.
            g: float64[k, m], values of the constraints.
        """
        g = _bounded_below(g)
        whole = np.isfinite(g).all(axis=1)
        if whole.sum() < 2:
            return
        if not self._unit_g.size:
            self._begin(g[whole])
        g = g / self._unit_g
        spread, mean = g[whole].std(axis=0), g[whole].mean(axis=0)
        known = whole & np.isfinite(f)
        if known.sum() >= 2 and np.ptp(f[known]) > 0:
            self._estimate(f[known], g[known], mean / np.where(spread > 0, spread, 1.0), spread)

    def _begin(self, g: np.ndarray) -> None:
        spread, m = g.std(axis=0), g.shape[1]
        self._unit_g = np.where(spread > 0, spread, np.maximum(np.abs(g).max(axis=0), 1.0))
        self._l, self._m = np.zeros(m), np.ones(m)
        self._products, self._slopes = np.zeros((m, m)), np.zeros(m)

    def _estimate(self, f: np.ndarray, g: np.ndarray, place: np.ndarray, spread: np.ndarray) -> None:
        """The multipliers and factors; `place` is the mean of each constraint in units of its spread."""
        first = not self._unit_f
        if first:
            self._unit_f = np.array(f.std())
        f = (f - f.mean()) / self._unit_f
        g = g - g.mean(axis=0)
        least = 0.1 * (np.mean(f**2) if first else self._residual)
        residual = np.maximum(np.mean((f + g @ self._l) ** 2), least)
        inside = np.maximum(-place - self.NEAR, 0)
        older = self.MEMBERS * self._l.size / f.size
        kept = older / (1 + older)
        products, slopes = g.T @ g / f.size, -g.T @ f / f.size
        for _ in range(2):  # a generation counts by how well it is explained, which depends on the estimate
            total = kept * self._products + products / residual
            pull = kept * self._slopes + slopes / residual
            unit = np.sqrt(np.diag(total)) + _TINY
            l = nonnegative(total / unit / unit[:, None] + np.diag(inside**2 + 1e-8), pull / unit) / unit
            residual = np.maximum(np.mean((f + g @ l) ** 2), least)
        self._products, self._slopes, self._l, self._residual = total, pull, l, residual
        self._set_factors(first, f.std(), place, spread)

    def _set_factors(self, first: bool, slope: float, place: np.ndarray, spread: np.ndarray) -> None:
        moving = spread > 0
        square = np.where(moving, spread, 1.0) ** 2
        fair = np.sqrt(self._residual) / square
        if first:
            self._m = np.where(moving, self.FIRST * fair, self._m)
        wanted = np.clip(self._m, self.LEAST * fair, self.MOST * fair)
        grown = np.minimum(self._m * self.GROWTH ** np.minimum(place, 3), self.STEEP * slope / square)
        wanted = np.where(place > 1, np.maximum(wanted, grown), wanted)
        self._m = np.where(moving, np.clip(wanted, self.FALL * self._m, self.RISE * self._m), self._m)

    def values(self, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """float64[k]: what to rank by, lower is better.

        Args:
            f: float64[k], values of the objective; NaN or infinite where it has none.
            g: float64[k, m], values of the constraints.
        """
        broken = (g > 0).any(axis=1)
        scaled = _bounded_below(g) / (self._unit_g if self._unit_g.size else 1.0)
        l, m = (self._l, self._m) if self._l.size else (np.zeros(g.shape[1]), np.ones(g.shape[1]))
        unit = float(self._unit_f) or 1.0
        reached = np.maximum(scaled, -l / m)
        square = unit * (reached**2 @ m) / 2
        values = f + unit * (reached @ l) + square
        undefined = broken & ~np.isfinite(f)
        if undefined.any():  # behind all others
            others = values[np.isfinite(values)]
            values[undefined] = (others.max() if others.size else 0.0) + square[undefined]
        return np.where(np.isfinite(scaled).all(axis=1), values, np.nan)

    def active(self, g: np.ndarray) -> np.ndarray:
        """bool[m]: constraints that pull at members with the values g, float64[k, m]."""
        return (self._l > 0) & (g.max(axis=0) / self._unit_g * self._m > -self._l)

    def state(self) -> dict[str, np.ndarray]:
        """All that changes."""
        return {name: np.array(value) for name, value in vars(self).items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` has returned."""
        for name in vars(self):
            setattr(self, name, np.array(state[name]))


def nonnegative(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The l >= 0 with the least l^T matrix l / 2 - vector^T l (Lawson and Hanson 1974).

    Args:
        matrix: float64[m, m], positive definite.
        vector: float64[m].

    >>> nonnegative(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([2.0, -1.0]))
    array([1., 0.])
    """
    l, free = np.zeros(vector.size), np.zeros(vector.size, bool)
    enough = 1e-12 * np.abs(vector).max(initial=0)
    for _ in range(3 * vector.size):
        slope = np.where(free, -np.inf, vector - matrix @ l)
        if not (slope > enough).any():
            break
        free[np.argmax(slope)] = True
        while True:
            new = np.zeros(vector.size)
            new[free] = np.linalg.solve(matrix[np.ix_(free, free)], vector[free])
            wrong = free & (new <= 0)
            if not wrong.any():
                l = new
                break
            shares = np.where(wrong, l / np.where(wrong, l - new, 1.0), np.inf)
            l = l + shares.min() * (new - l)
            free &= ~(wrong & (shares <= shares.min()))
            l[~free] = 0
    return l


def _bounded_below(g: np.ndarray) -> np.ndarray:
    """The lowest finite value of a constraint for minus infinity, which holds by any margin."""
    if not (low := g == -np.inf).any():
        return g
    finite = np.where(np.isfinite(g), g, np.inf).min(axis=0)
    return np.where(low, np.where(np.isfinite(finite), np.minimum(finite, 0.0), -1.0), g)
