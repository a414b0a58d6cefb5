"""iAMaLGaM from Bosman, Grahl & Thierens 2013 in NumPy, absolute units; `population_size` counts new members."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, covariance="full"):
        self.mean = np.array(x0, float)
        self.l, self.new, self.full = len(x0), population_size, covariance == "full"
        n = population_size + 1
        self.S = max(2, int(0.35 * n))
        self.n_ams = int(0.5 * 0.35 * n)
        self.Sigma = sigma**2 * np.eye(self.l)
        S, dim = self.S, self.l
        if self.full:
            self.eta_s = 1 - np.exp(-1.1 * S**1.2 / dim**1.6)
            self.eta_p = 1 - np.exp(-1.2 * S**0.31 / dim**0.5)
        else:
            self.eta_s = 1 - np.exp(-0.4 * S**0.15 / dim**-0.034)
            self.eta_p = 1 - np.exp(-0.31 * S**0.27 / dim**0.067)
        self.shift, self.c, self.nis = np.zeros(dim), 1.0, 0
        self.elite = None
        self.history = []

    def noise(self, rng):
        return rng.standard_normal((self.new, self.l))

    def ask(self, noise):
        self.L = np.linalg.cholesky(self.c * self.Sigma)
        self.x = self.mean + noise @ self.L.T
        self.x[: self.n_ams] += 2.0 * self.c * self.shift
        return self.x

    def tell(self, values):
        everyone, scores = self.x, values
        if self.elite is not None:
            x_best, f_best = self.elite
            better = values < f_best
            if better.any():
                self.nis = 0
                self.c = max(1.0, self.c)
                distance = np.linalg.solve(self.L, self.x[better].mean(0) - self.mean)
                if np.abs(distance).max() > 1:
                    self.c /= 0.9
            else:
                if self.c <= 1:
                    self.nis += 1
                if self.c > 1 or self.nis >= 25 + self.l:
                    self.c *= 0.9
                if self.c < 1 and self.nis < 25 + self.l:
                    self.c = 1.0
            everyone, scores = np.vstack([x_best, self.x]), np.concatenate([[f_best], values])
        self.history.append(self.c)
        order = np.argsort(scores)
        chosen = everyone[order[: self.S]]
        best = everyone[order[0]]
        new_mean = best if self.c < 1 else chosen.mean(0)
        estimate = (chosen - new_mean).T @ (chosen - new_mean) / self.S
        if not self.full:
            estimate = np.diag(np.diag(estimate))
        move = new_mean - self.mean
        self.shift = move if self.elite is None else (1 - self.eta_p) * self.shift + self.eta_p * move
        self.Sigma = (1 - self.eta_s) * self.Sigma + self.eta_s * estimate
        self.mean = new_mean
        self.elite = best, scores[order[0]]

    @property
    def sigma(self):
        return np.sqrt(np.trace(self.Sigma) / self.l)
