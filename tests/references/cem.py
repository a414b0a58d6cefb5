"""Cross-entropy with a diagonal Gaussian and additive variance noise (Szita & Lorincz 2006, section 2.3)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, rho=0.1, Z=0.0):
        self.mean, self.variance = np.array(x0), np.full(len(x0), float(sigma) ** 2)
        self.size, self.elite, self.Z = population_size, max(1, round(rho * population_size)), Z

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.mean)))

    def ask(self, noise):
        self.x = self.mean + np.sqrt(self.variance) * noise
        return self.x

    def tell(self, values):
        best = self.x[np.argsort(values)[: self.elite]]
        self.mean = best.mean(0)
        self.variance = best.var(0) + self.Z
