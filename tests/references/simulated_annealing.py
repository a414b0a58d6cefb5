"""Simulated annealing by the Metropolis rule, on the best of some neighbors; the start is the first of them."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, temperature=1.0, cooling=0.98):
        self.x, self.energy = np.array(x0), None
        self.mean, self.lowest = self.x, np.inf
        self.sigma, self.size, self.T, self.cooling = sigma, population_size, temperature, cooling

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.x))), rng.uniform(size=self.size)

    def ask(self, noise):
        z, self.u = noise
        self.neighbors = self.x + self.sigma * z
        if self.energy is None:
            self.neighbors[0] = self.x
        return self.neighbors

    def tell(self, values):
        k = int(np.argmin(values))
        if values[k] < self.lowest:
            self.mean, self.lowest = self.neighbors[k], values[k]
        if self.energy is None or self.u[k] < np.exp(min(0, -(values[k] - self.energy) / self.T)):
            self.x, self.energy = self.neighbors[k], values[k]
        self.T *= self.cooling
