"""The `cma` package (pycma), by Hansen and others, behind the same methods."""

import warnings

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.start = (np.array(x0), sigma, population_size)
        self.search = None

    def noise(self, rng):
        return int(rng.integers(1, 2**31 - 1))

    def ask(self, noise):
        if self.search is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import cma

                x0, sigma, size = self.start
                options = {"seed": noise, "verbose": -9, "popsize": size}
                self.search = cma.CMAEvolutionStrategy(x0, sigma, options)
        self.x = self.search.ask()
        return np.array(self.x)

    def tell(self, values):
        self.search.tell(self.x, list(values))

    @property
    def mean(self):
        return self.search.mean
