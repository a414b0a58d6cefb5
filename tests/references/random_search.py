"""Random search around the start; the start itself is tried first."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.x0, self.sigma, self.size = np.array(x0), sigma, population_size
        self.mean, self.lowest, self.trials = self.x0, np.inf, 0

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.x0)))

    def ask(self, noise):
        self.candidates = self.x0 + self.sigma * noise
        if self.trials == 0:
            self.candidates[0] = self.x0
        return self.candidates

    def tell(self, values):
        for x, value in zip(self.candidates, values, strict=True):
            self.trials += 1
            if value < self.lowest:
                self.mean, self.lowest = x, value
