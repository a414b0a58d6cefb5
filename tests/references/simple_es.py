"""The (mu, lambda) Gaussian search of Weng's tutorial (2019): equal weights, spread around the old mean."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, elite=0.25):
        self.mean, self.sigma, self.size = np.array(x0), sigma, population_size
        self.mu = max(1, round(elite * population_size))

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.mean)))

    def ask(self, noise):
        self.x = self.mean + self.sigma * noise
        return self.x

    def tell(self, values):
        elite = self.x[np.argsort(values)[: self.mu]]
        self.sigma = np.sqrt(((elite - self.mean) ** 2).mean())
        self.mean = elite.mean(0)
