"""PGPE with symmetric sampling (Sehnke et al. 2010, Algorithm 2) and ClipUp (Toklu et al. 2020, Algorithm 1)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, alpha_sigma=0.1, max_change=0.2, v_max=None, m=0.9):
        d = len(x0)
        self.mean, self.stdev, self.pairs = np.array(x0), np.full(d, float(sigma)), population_size // 2
        self.v_max = sigma * np.sqrt(d) / 15 if v_max is None else v_max
        self.alpha, self.m, self.velocity = self.v_max / 2, m, np.zeros(d)
        self.alpha_sigma, self.max_change = alpha_sigma, max_change

    def noise(self, rng):
        return rng.standard_normal((self.pairs, len(self.mean)))

    def ask(self, noise):
        self.eps = self.stdev * noise
        out = []
        for e in self.eps:
            out += [self.mean + e, self.mean - e]
        return np.array(out)

    def tell(self, values):
        count = len(values)
        rank = np.empty(count)
        rank[np.argsort(-values)] = np.arange(count)  # the lowest value has the highest rank
        r = rank / (count - 1) - 0.5
        grad, grad_sigma = np.zeros_like(self.mean), np.zeros_like(self.mean)
        for e, plus, minus in zip(self.eps, r[0::2], r[1::2]):
            grad += e * (plus - minus) / 2
            grad_sigma += ((plus + minus) / 2 - r.mean()) * (e**2 - self.stdev**2) / self.stdev
        grad, grad_sigma = grad / self.pairs, grad_sigma / self.pairs
        self.velocity = self.m * self.velocity + self.alpha * grad / np.linalg.norm(grad)
        speed = np.linalg.norm(self.velocity)
        if speed > self.v_max:
            self.velocity = self.v_max * self.velocity / speed
        self.mean = self.mean + self.velocity
        wanted = self.stdev + self.alpha_sigma * grad_sigma
        limit = self.max_change * self.stdev
        self.stdev = np.minimum(np.maximum(wanted, self.stdev - limit), self.stdev + limit)
