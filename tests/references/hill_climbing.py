"""A (1 + lambda) evolution strategy with one step size; the start is the first of the candidates."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, decay=1.0):
        self.mean, self.sigma, self.size, self.decay = np.array(x0), sigma, population_size, decay
        self.lowest = None

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.mean)))

    def ask(self, noise):
        self.candidates = self.mean + self.sigma * noise
        if self.lowest is None:
            self.candidates[0] = self.mean
        return self.candidates

    def tell(self, values):
        winner = int(np.argmin(values))
        if self.lowest is None or values[winner] < self.lowest:
            self.mean, self.lowest = self.candidates[winner], values[winner]
        self.sigma *= self.decay
