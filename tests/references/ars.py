"""Augmented random search, Algorithm 2 of Mania, Guy, Recht 2018 (V1-t: no normalization of observations)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, alpha=0.02, b=None):
        self.mean, self.nu, self.alpha = np.array(x0), sigma, alpha
        self.N = population_size // 2
        self.b = self.N if b is None else b

    def noise(self, rng):
        return rng.standard_normal((self.N, len(self.mean)))

    def ask(self, noise):
        self.delta = noise
        return np.stack([self.mean + self.nu * noise, self.mean - self.nu * noise], 1).reshape(2 * self.N, -1)

    def tell(self, values):
        reward = -values.reshape(self.N, 2)
        order = np.argsort(-reward.max(1))[: self.b]
        step = sum((reward[k, 0] - reward[k, 1]) * self.delta[k] for k in order)
        self.mean = self.mean + self.alpha / (self.b * reward[order].std()) * step
