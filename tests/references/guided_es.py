"""Guided evolutionary strategies (Maheswaranathan et al. 2019, Algorithm 1) with gradient descent."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, k=2, alpha=0.5, beta=2.0, eta=0.1, guides=None, rng=None):
        self.mean, self.sigma, self.P = np.array(x0), sigma, population_size // 2
        self.n, self.k, self.alpha, self.beta, self.eta = len(x0), k, alpha, beta, eta
        self.history = list(np.random.default_rng(0).standard_normal((k, self.n)) if guides is None else guides)

    def noise(self, rng):
        return rng.standard_normal((self.P, self.n)), rng.standard_normal((self.P, self.k))

    def ask(self, noise):
        U = np.linalg.qr(np.array(self.history).T)[0]
        full, inside = noise
        self.eps = self.sigma * (
            np.sqrt(self.alpha / self.n) * full + np.sqrt((1 - self.alpha) / self.k) * inside @ U.T
        )
        return np.stack([self.mean + self.eps, self.mean - self.eps], 1).reshape(2 * self.P, -1)

    def tell(self, values):
        difference = values[0::2] - values[1::2]
        g = self.beta / (2 * self.sigma**2 * self.P) * difference @ self.eps
        self.mean = self.mean - self.eta * g
        self.history = [g, *self.history[:-1]]
