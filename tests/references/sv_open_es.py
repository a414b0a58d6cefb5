"""SVGD (Liu & Wang 2016, Algorithm 1, median heuristic) with mirrored evolution-strategy gradients, plain steps."""

import numpy as np


class Reference:
    def __init__(self, starts, sigma, members, repulsion=1.0, bandwidth=1.0, eta=0.1):
        self.x, self.sigma, self.m = np.array(starts), sigma, members
        self.repulsion, self.bandwidth, self.eta = repulsion, bandwidth, eta

    def ask(self, noise):
        """noise: float64[particles * members / 2, n]."""
        count, n = self.x.shape
        self.z = noise.reshape(count, self.m // 2, n)
        return np.array([x + sign * self.sigma * e for x, z in zip(self.x, self.z) for e in z for sign in (1, -1)])

    def tell(self, values):
        count, n = self.x.shape
        values = -values.reshape(count, self.m)
        score = np.zeros((count, n))
        for i in range(count):
            for j, z in enumerate(self.z[i]):
                score[i] += (values[i, 2 * j] - values[i, 2 * j + 1]) * z / (self.m * self.sigma)
        distances = [np.linalg.norm(a - b) for i, a in enumerate(self.x) for b in self.x[i + 1 :]]
        h = self.bandwidth * np.median(np.square(distances)) / np.log(count)
        phi = np.zeros((count, n))
        for i in range(count):
            for j in range(count):
                k = np.exp(-np.sum((self.x[j] - self.x[i]) ** 2) / h)
                grad_k = -2 / h * (self.x[j] - self.x[i]) * k  # by x_j
                phi[i] += (k * score[j] + self.repulsion * grad_k) / count
        self.x = self.x + self.eta * phi
