"""ASEBO (Choromanski et al. 2019, Algorithms 1 and 2), full covariance, with gradient descent.

As in ours, the number of pairs is fixed, and Algorithm 2 takes one step with the mean over the generation's pairs, of
differences divided by their root mean square.
"""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, l=5, eps=0.9, lam=0.8, alpha=0.01, beta=0.1, eta=0.1):
        self.mean, self.sigma, self.P, self.d = np.array(x0), sigma, population_size // 2, len(x0)
        self.l, self.eps, self.lam, self.alpha, self.beta, self.eta = l, eps, lam, alpha, beta, eta
        self.Cov, self.q, self.t = np.zeros((self.d, self.d)), 0.5, 0

    def noise(self, rng):
        return rng.standard_normal((self.P, self.d)), rng.random(self.P)

    @property
    def p(self):
        return (1 - 2 * self.beta) * self.q + self.beta

    def ask(self, noise):
        z, coin = noise
        self.r = 0
        self.a = np.zeros(self.P, bool)
        self.g = z.copy()
        if self.t >= max(self.l, 1):
            values, vectors = np.linalg.eigh(self.Cov)
            values, vectors = values[::-1], vectors[:, ::-1]
            self.r = 1 + int(np.searchsorted(np.cumsum(values), self.eps * values.sum()))
            U, rest = vectors[:, : self.r], vectors[:, self.r :]
            self.a = coin < self.p
            for j in range(self.P):
                V = U if self.a[j] else rest
                g = V @ (V.T @ z[j])
                self.g[j] = g / np.linalg.norm(g) * np.linalg.norm(z[j])
        moved = np.stack([self.mean + self.sigma * self.g, self.mean - self.sigma * self.g], 1)
        return moved.reshape(2 * self.P, -1)

    def tell(self, values):
        difference = values[0::2] - values[1::2]
        grad = difference @ self.g / (2 * self.P * self.sigma)
        if 0 < self.r < self.d:
            v2 = difference**2 / (difference**2).mean()
            v2 = v2 * np.where(self.a, self.r, self.d - self.r) / self.d
            p, scale = self.p, 1 - 2 * self.beta
            e1 = np.mean(-scale * self.a * (self.r + 2) / p**3 * v2)
            e2 = np.mean(-scale * ~self.a * (self.d - self.r + 2) / (1 - p) ** 3 * v2)
            one, two = self.q * np.exp(-self.alpha * e1), (1 - self.q) * np.exp(-self.alpha * e2)
            self.q = one / (one + two)
        self.Cov = self.lam * self.Cov + (1 - self.lam) * np.outer(grad, grad)
        self.mean = self.mean - self.eta * grad
        self.t += 1
