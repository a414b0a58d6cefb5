"""Storn & Price 1997, with the variants' formulas as in their section 3 and SciPy's documentation."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, strategy="best1bin", F=(0.5, 1.0), CR=0.7):
        self.x0, self.sigma, self.NP, self.strategy, self.F, self.CR = (
            np.array(x0),
            sigma,
            population_size,
            strategy,
            F,
            CR,
        )
        self.X, self.cost = None, np.full(population_size, np.inf)

    @property
    def mean(self):
        return self.X[np.argmin(self.cost)]

    def noise(self, rng):
        """Normal numbers (of the first generation), others, what comes from the mutant, the factor."""
        D = len(self.x0)
        others = np.array([rng.permutation([j for j in range(self.NP) if j != i])[:5] for i in range(self.NP)])
        crossed = np.array([self.crossover(D, rng) for _ in range(self.NP)])
        return rng.standard_normal((self.NP, D)), others, crossed, rng.uniform(*self.F)

    def crossover(self, D, rng):
        j, mask = rng.integers(D), np.zeros(D, bool)
        if self.strategy.endswith("bin"):
            mask = rng.uniform(size=D) < self.CR
            mask[j] = True
            return mask
        L = 0
        while True:
            mask[(j + L) % D] = True
            L += 1
            if not (rng.uniform() < self.CR and L < D):
                return mask

    def mutant(self, x, best, r, F):
        return {
            "best1": lambda: best + F * (r[0] - r[1]),
            "rand1": lambda: r[0] + F * (r[1] - r[2]),
            "randtobest1": lambda: r[0] + F * (best - r[0]) + F * (r[1] - r[2]),
            "currenttobest1": lambda: x + F * (best - x) + F * (r[0] - r[1]),
            "best2": lambda: best + F * (r[0] + r[1] - r[2] - r[3]),
            "rand2": lambda: r[0] + F * (r[1] + r[2] - r[3] - r[4]),
        }[self.strategy[:-3]]()

    def ask(self, noise):
        z, others, crossed, F = noise
        if self.X is None:
            self.U = self.x0 + self.sigma * z
            self.U[0] = self.x0
            return self.U
        V = np.empty_like(self.X)
        best = self.X[np.argmin(self.cost)]
        for i in range(self.NP):
            V[i] = self.mutant(self.X[i], best, [self.X[k] for k in others[i]], F)
        self.U = np.where(crossed, V, self.X)
        return self.U

    def tell(self, values):
        if self.X is None:
            self.X, self.cost = self.U.copy(), values.copy()
            return
        for i in range(self.NP):
            if values[i] <= self.cost[i]:
                self.X[i], self.cost[i] = self.U[i], values[i]
