"""Separable NES (Wierstra et al. 2014, Algorithm 6), default rates of their Table 1."""

import numpy as np


def utilities(count):
    u = np.maximum(0, np.log(count / 2 + 1) - np.log(np.arange(1, count + 1)))
    return u / u.sum() - 1 / count


class Reference:
    def __init__(self, x0, sigma, population_size):
        d = len(x0)
        self.mean, self.sigma, self.size = np.array(x0), np.full(d, float(sigma)), population_size
        self.eta_sigma = (3 + np.log(d)) / (5 * np.sqrt(d))

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.mean)))

    def ask(self, noise):
        self.s = noise
        return self.mean + self.sigma * noise

    def tell(self, values):
        u = np.empty(self.size)
        u[np.argsort(values)] = utilities(self.size)
        gradient_mean, gradient_sigma = u @ self.s, u @ (self.s**2 - 1)
        self.mean = self.mean + self.sigma * gradient_mean
        self.sigma = self.sigma * np.exp(self.eta_sigma / 2 * gradient_sigma)
