"""Such et al. 2017, Algorithm 1: truncation selection, normal mutations, one elite; the first elite is the start.

`mutate` and `adapt` are what the genetic algorithms with changing mutation rates replace.
"""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, T=None):
        self.N, self.T = population_size, population_size // 5 if T is None else T
        self.elders = [(np.inf, np.array(x0), sigma)] * self.T  # (value, solution, mutation rate), best first
        self.sigma, self.generation = sigma, 0
        self.mean, self.lowest = np.array(x0), np.inf

    def noise(self, rng):
        """Normal numbers, parents (the elite's is the first), numbers in [-1, 1), and more for mutation rates."""
        size = self.N
        parents = rng.integers(self.T, size=size)
        parents[0] = 0
        return rng.standard_normal((size, len(self.mean))), parents, rng.uniform(-1, 1, size), self.rates(rng)

    def rates(self, rng):
        return None

    def rate(self, i, parent_rate, u):
        return self.sigma

    def ask(self, noise):
        z, self.parents, self.u, self.more = noise
        self.children = [(self.elders[0][1], self.elders[0][2])]
        for i in range(1, self.N):
            _, x, rate = self.elders[self.parents[i]]
            mine = self.rate(i, rate, self.u[i])
            self.children.append((x + mine * z[i], mine))
        return np.array([x for x, _ in self.children])

    def tell(self, values):
        self.before = [values[0] if self.generation == 0 else self.elders[p][0] for p in self.parents]
        self.adapt(values)
        everyone = [(value, *child) for value, child in zip(values, self.children, strict=True)]
        self.elders = sorted(everyone, key=lambda entry: entry[0])[: self.T]
        self.generation += 1
        if self.elders[0][0] < self.lowest:
            self.lowest, self.mean, _ = self.elders[0]

    def adapt(self, values):
        pass
