"""Evolution strategy with meta-loss clipping (Merchant et al. 2021) and Adam (Kingma & Ba 2015, Algorithm 1)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, alpha=0.01):
        self.mean, self.sigma, self.alpha = np.array(x0), sigma, alpha
        self.pairs, self.t = population_size // 2 - 1, 0
        self.m, self.v = np.zeros_like(self.mean), np.zeros_like(self.mean)

    def noise(self, rng):
        return rng.standard_normal((self.pairs + 1, len(self.mean)))  # the first row is not used

    def ask(self, noise):
        self.z = noise[1:]
        mirrored = np.stack([self.mean + self.sigma * self.z, self.mean - self.sigma * self.z], 1)
        return np.concatenate([[self.mean, self.mean], mirrored.reshape(2 * self.pairs, -1)])

    def tell(self, values):
        base = values[:2].mean()
        g = np.zeros_like(self.mean)
        for z, plus, minus in zip(self.z, values[2::2], values[3::2]):
            g += (min(plus, base) - min(minus, base)) * z / (self.pairs * self.sigma)
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        m_hat, v_hat = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        self.mean = self.mean - self.alpha * m_hat / (np.sqrt(v_hat) + 1e-8)
