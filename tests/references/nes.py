"""NES with one sigma: the natural gradient of an isotropic Gaussian (Wierstra et al. 2014, eqs. 6-8)."""

import numpy as np
from references.snes import utilities


class Reference:
    def __init__(self, x0, sigma, population_size, eta=1.0, eta_sigma=1.0):
        self.mean, self.sigma, self.size, self.eta, self.eta_sigma = (
            np.array(x0),
            float(sigma),
            population_size,
            eta,
            eta_sigma,
        )

    def noise(self, rng):
        return rng.standard_normal((self.size, len(self.mean)))

    def ask(self, noise):
        self.s = noise
        return self.mean + self.sigma * noise

    def tell(self, values):
        u = np.empty(self.size)
        u[np.argsort(values)] = utilities(self.size)
        # Fisher of (mean, log sigma) is I / sigma^2 and 2 d: steps sigma sum(u s) and sum(u (s's - d)) / 2d.
        d = len(self.mean)
        self.mean = self.mean + self.eta * self.sigma * (u @ self.s)
        self.sigma *= np.exp(self.eta_sigma * (u @ ((self.s**2).sum(1) - d)) / (2 * d))
