"""`jaxes.strategies.cma_es` in NumPy, on vectors of float64. Equation numbers are those of its docstring's tutorial."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxes.search.engines.plain.noise import Key, Normals
from jaxes.search.engines.plain.ranking import recombination
from jaxes.search.engines.plain.square_root import renewed_by_steps, square_root
from jaxes.strategies.cma_es import table_1
from jaxes.strategies.parts import evolution_paths as paths

RATES = ("c_m", "c_sigma", "d_sigma", "c_c", "c_1", "c_mu")
_MOST = float(np.finfo(np.float64).max) ** 0.45  # beyond it products may overflow, see `within_range`


class CMA:
    """The search distribution, and how it learns.

    Args:
        key: of the random numbers, a seed and the number of the run.
        mean: float64[n], where to start.
        sigma: initial step size.
        size: members per generation.
        active: whether the worse half takes variance away.
        interval: generations between two roots; None for the tutorial's.
        **rates: c_m, c_sigma, d_sigma, c_c, c_1, c_mu; None for Table 1's.
    """

    ARRAYS = ("mean", "rest", "root", "change", "path_sigma", "path_c")
    NUMBERS = ("step", "sigma")

    def __init__(
        self,
        key: Key,
        mean: np.ndarray,
        sigma: float,
        size: int,
        *,
        active: bool = True,
        interval: int | None = None,
        **rates: float | None,
    ):
        n = mean.size
        self.size, self.n = size, n
        self._normals = Normals(key, size, n)
        self._positive, effective = paths.logarithmic(size)
        numbers = table_1(n, effective) | {name: rate for name, rate in rates.items() if rate is not None}
        self.c_m, self.c_sigma, self.d_sigma, self.c_c, self.c_1, self.c_mu = (float(numbers[x]) for x in RATES)
        self._signed = signed_weights(size, n, effective, self.c_1, self.c_mu) if active else self._positive
        self._sum = float(self._signed.sum())
        rarely = 1 / (10 * n * max(self.c_1 + self.c_mu, 1e-12))  # appendix B.2
        self._every = int(min(max(rarely, 1), 1e6)) if interval is None else interval
        self._length = paths.expected_length(n)
        self.step, self.sigma = 0, float(sigma)
        self.mean, self.rest = np.array(mean, np.float64), np.zeros(n)
        self.root, self.change = np.eye(n), np.eye(n)
        self.path_sigma, self.path_c = np.zeros(n), np.zeros(n)

    def state(self) -> dict[str, Any]:
        """All that changes, as arrays and numbers."""
        return {name: np.array(getattr(self, name)) for name in (*self.ARRAYS, *self.NUMBERS)}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in self.ARRAYS:
            setattr(self, name, np.array(state[name], np.float64))
        self.step, self.sigma = int(state["step"]), float(state["sigma"])

    def ask(self) -> np.ndarray:
        """float64[size, n]: the points of this generation (eqs. 39, 40)."""
        points = self._normals.of(self.step) @ self.root.T
        points *= self.sigma
        points += self.rest
        points += self.mean
        return points

    def steps_to(self, points: list[np.ndarray]) -> np.ndarray:
        """float64[size, n]: this generation's normal numbers, the first of them such that they lead to given points.

        Hansen: "Injecting External Solutions Into CMA-ES", 2011, arXiv:1110.4181: what lies farther away than members
        do counts as a step of the length sqrt(n) + 2 n / (n + 2).
        """
        steps, n = self._normals.of(self.step).copy(), self.n
        for i, point in enumerate(points):
            step = np.linalg.solve(self.root, (point - self.mean - self.rest) / self.sigma)
            most, length = math.sqrt(n) + 2 * n / (n + 2), math.sqrt(step @ step)
            steps[i] = step * min(1.0, most / max(length, 1e-300))
        return steps

    def tell(self, values: np.ndarray, steps: np.ndarray | None = None, still: np.ndarray | None = None) -> None:
        """Learn from the values of a generation, lower is better; NaN for a failed evaluation.

        Args:
            values: float64[size].
            steps: float64[size, n], what has been used instead of the normal numbers drawn, in units of the root.
            still: the coordinates, int[k], along which the length of the path says nothing about the step size.
        """
        if not (values == values).any():  # all are NaN
            self.step += 1
            return
        n, z = self.n, self._normals.of(self.step) if steps is None else steps
        weights, signed = recombination((self._positive, self._signed), values)
        mu_eff = 1 / float(weights @ weights)
        worse = np.flatnonzero(signed < 0)
        if worse.size:  # negative weights act on steps of Mahalanobis length sqrt(n): eq. 46
            lengths = np.einsum("ij,ij->i", z[worse], z[worse])
            signed[worse] *= n / np.maximum(lengths, 1e-30)
        white = weights @ z
        wanted = self.rest + self.c_m * self.sigma * (self.root @ white)  # eqs. 41, 42
        mean = self.mean + wanted
        path_sigma = self._cumulated(self.path_sigma, self.c_sigma, mu_eff, white)  # eq. 43
        length = math.sqrt(self._square(path_sigma, still)) / self._length
        exponent = self.c_sigma / self.d_sigma * (length - 1)
        sigma = self.sigma * math.exp(min(exponent, 600.0))  # eq. 44
        settled = math.sqrt(1 - (1 - self.c_sigma) ** (2 * (self.step + 1)))
        moving = float(length < (1.4 + 2 / (n + 1)) * settled)  # h_sigma
        path_c = self._cumulated(self.path_c, self.c_c, mu_eff, moving * white)  # eq. 45
        stalled = (1 - moving) * self.c_c * (2 - self.c_c)
        kept = 1 + self.c_1 * stalled - self.c_1 - self.c_mu * self._sum
        if not (sigma < _MOST and mean @ mean < _MOST) and not self._within_range(mean, sigma):
            self.step += 1
            return
        root, change, path_c = self._learned(kept, z, self.c_mu * signed, path_c)
        # At once, so that Ctrl-C leaves a whole generation behind.
        self.__dict__.update(
            step=self.step + 1,
            mean=mean,
            rest=wanted - (mean - self.mean),
            sigma=sigma,
            path_sigma=path_sigma,
            root=root,
            change=change,
            path_c=path_c,
        )

    def _square(self, path: np.ndarray, still: np.ndarray | None) -> float:
        """The square of a path's length, with the expected one along coordinates that are left out."""
        square = float(path @ path)
        if still is None or not still.size:
            return square
        if still.size == self.n:
            return self._length**2
        along = np.linalg.qr(self.root[still].T)[0].T @ path
        return max(square - float(along @ along), 0.0) + still.size

    def _within_range(self, mean: np.ndarray, sigma: float) -> bool:
        """Whether numbers are no larger than a search may have, or than they were; see `within_range`."""
        most = max(_MOST, float(np.abs(self.mean).max()))
        return bool(np.abs(mean).max() <= most and sigma <= max(_MOST, self.sigma))

    def _learned(
        self, kept: float, z: np.ndarray, weights: np.ndarray, path_c: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Root, change and path after eq. 47; a new root when it is due."""
        if self._every == 1 and 2 * (self.size + 1) <= self.n:
            columns = np.concatenate([path_c[None], z]).T
            root, path_c = renewed_by_steps(self.root, kept, columns, np.concatenate([[self.c_1], weights]))
            return root, self.change, path_c
        change = kept * self.change + self.c_1 * np.outer(path_c, path_c) + (weights[:, None] * z).T @ z
        if (self.step + 1) % self._every:
            return self.root, change, path_c
        half, path_c = square_root(change, path_c)
        return self.root @ half, np.eye(self.n), path_c

    @staticmethod
    def _cumulated(path: np.ndarray, rate: float, mu_eff: float, step: np.ndarray) -> np.ndarray:
        return (1 - rate) * path + math.sqrt(rate * (2 - rate) * mu_eff) * step


def signed_weights(size: int, n: int, effective: float, c_1: float, c_mu: float) -> np.ndarray:
    """Table 1, eqs. 49-53: the weights by rank, negative ones small enough to keep C positive definite."""
    raw = np.log((size + 1) / 2) - np.log(np.arange(1, size + 1))
    rest = np.minimum(raw, 0)
    effective_rest = rest.sum() ** 2 / (rest**2).sum()
    c_mu = max(c_mu, 1e-30)
    most = min(1 + c_1 / c_mu, 1 + 2 * effective_rest / (effective + 2), max(1 - c_1 - c_mu, 0) / (n * c_mu))
    return paths.logarithmic(size)[0] + most * rest / -rest.sum()
