"""Group elite selection of mutation rates, Kumar et al. 2022, on the simple genetic algorithm."""

import numpy as np
from references import simple_ga


class Reference(simple_ga.Reference):
    def __init__(self, x0, sigma, population_size, K, tau=2.0):
        super().__init__(x0, sigma, population_size, T=population_size // 2)
        self.K, self.tau, self.MR = K, tau, [sigma] * K

    def rates(self, rng):
        return rng.integers(max(1, self.K // 2), size=self.K), rng.uniform(-1, 1, self.K)

    def rate(self, i, parent_rate, u):
        return self.MR[i // (self.N // self.K)]

    def adapt(self, values):
        change = [np.inf] + [value - before for value, before in zip(values[1:], self.before[1:], strict=True)]
        groups = np.array_split(np.array(change), self.K)
        sorted_rates = [self.MR[k] for k in sorted(range(self.K), key=lambda k: groups[k].min())]
        origin, u = self.more
        self.MR = [sorted_rates[0]] + [sorted_rates[origin[k]] * self.tau ** u[k] for k in range(1, self.K)]
