"""Clerc & Kennedy 2002, constriction of type 1'' with phi_1 = phi_2 = 2.05; particles begin at rest."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.x0, self.sigma, self.size = np.array(x0), sigma, population_size
        phi = 2.05 + 2.05
        self.chi = 2 / (phi - 2 + np.sqrt(phi**2 - 4 * phi))
        self.x, self.best_value = None, np.full(population_size, np.inf)

    @property
    def mean(self):
        return self.p[np.argmin(self.best_value)]

    def noise(self, rng):
        shape = (self.size, len(self.x0))
        return rng.standard_normal(shape), rng.uniform(size=shape), rng.uniform(size=shape)

    def ask(self, noise):
        z, u1, u2 = noise
        if self.x is None:
            self.x = self.x0 + self.sigma * z
            self.x[0] = self.x0
            self.v, self.p = np.zeros_like(self.x), self.x.copy()
        else:
            g = self.p[np.argmin(self.best_value)]
            self.v = self.chi * (self.v + 2.05 * u1 * (self.p - self.x) + 2.05 * u2 * (g - self.x))
            self.x = self.x + self.v
        return self.x

    def tell(self, values):
        for i in range(self.size):
            if values[i] < self.best_value[i]:
                self.p[i], self.best_value[i] = self.x[i], values[i]
