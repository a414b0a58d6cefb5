"""GLD-Search, Algorithm 1 of Golovin et al. 2020: R, R/2, R/4, ..., down to r; the start is the first candidate."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.x, self.f = np.array(x0), None
        self.R, self.K = sigma, population_size - 1

    @property
    def mean(self):
        return self.x

    def noise(self, rng):
        return rng.standard_normal((self.K + 1, len(self.x)))

    def ask(self, noise):
        self.y = [self.x + 2.0**-k * self.R * noise[k] for k in range(self.K + 1)]
        if self.f is None:
            self.y[0] = self.x
        return np.array(self.y)

    def tell(self, values):
        for y, f in zip(self.y, values, strict=True):
            if self.f is None or f < self.f:
                self.x, self.f = y, f
