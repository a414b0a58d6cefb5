"""Salimans et al. 2017, Algorithm 1 with mirrored sampling, centered ranks and Adam (Kingma & Ba 2015, Algorithm 1)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, alpha=0.01):
        self.mean, self.sigma, self.pairs, self.alpha = np.array(x0), sigma, population_size // 2, alpha
        self.m, self.v, self.t = np.zeros(len(x0)), np.zeros(len(x0)), 0

    def noise(self, rng):
        return rng.standard_normal((self.pairs, len(self.mean)))

    def ask(self, noise):
        self.eps = np.repeat(noise, 2, axis=0) * np.tile([1, -1], self.pairs)[:, None]
        return self.mean + self.sigma * self.eps

    def tell(self, values):
        n = len(values)
        F = np.empty(n)
        F[np.argsort(-values)] = np.arange(n) / (n - 1) - 0.5
        g = -(F @ self.eps) / (n * self.sigma)
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        self.mean = self.mean - self.alpha * m / (np.sqrt(v) + 1e-8)
