"""xNES from Glasmachers et al. 2010 (Algorithm 1) and Wierstra et al. 2014 (Table 1), in NumPy."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.mean = np.array(x0, float)
        self.sigma, self.lam, self.d = sigma, population_size, len(x0)
        self.B = np.eye(self.d)
        self.eta = (9 + 3 * np.log(self.d)) / (5 * self.d * np.sqrt(self.d))
        k = np.arange(1, self.lam + 1)
        u = np.maximum(0, np.log(self.lam / 2 + 1) - np.log(k))
        self.u = u / u.sum() - 1 / self.lam

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.d))

    def ask(self, noise):
        self.s = noise
        return np.stack([self.mean + self.sigma * self.B @ s for s in noise])

    def tell(self, values):
        s = self.s[np.argsort(values)]
        g_delta = sum(u * v for u, v in zip(self.u, s, strict=True))
        g_m = sum(u * (np.outer(v, v) - np.eye(self.d)) for u, v in zip(self.u, s, strict=True))
        g_sigma = np.trace(g_m) / self.d
        g_b = g_m - g_sigma * np.eye(self.d)
        self.mean = self.mean + self.sigma * self.B @ g_delta
        self.sigma = self.sigma * np.exp(self.eta / 2 * g_sigma)
        self.B = self.B @ series(self.eta / 2 * g_b)


def series(a):
    """The matrix exponential: a power series of a / 2^10, squared ten times."""
    a = a / 2**10
    total = term = np.eye(len(a))
    for k in range(1, 12):
        term = term @ a / k
        total = total + term
    for _ in range(10):
        total = total @ total
    return total
