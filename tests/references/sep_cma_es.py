"""sep-CMA-ES from Ros & Hansen 2008, section 2, in NumPy."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.mean = np.array(x0, float)
        n, lam = len(x0), population_size
        self.n, self.lam, self.sigma, self.g = n, lam, sigma, 0
        self.mu = lam // 2
        w = np.log(self.mu + 1) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mu_w = 1 / np.sum(self.w**2)
        self.c_s = (self.mu_w + 2) / (n + self.mu_w + 3)
        self.d_s = 1 + 2 * max(0, np.sqrt((self.mu_w - 1) / (n + 1)) - 1) + self.c_s
        self.c_c = 4 / (n + 4)
        c_cov = 2 / (n + np.sqrt(2)) ** 2 / self.mu_w
        c_cov += (1 - 1 / self.mu_w) * min(1, (2 * self.mu_w - 1) / ((n + 2) ** 2 + self.mu_w))
        self.c_cov = c_cov * (n + 2) / 3
        self.chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self.C, self.p_s, self.p_c = np.ones(n), np.zeros(n), np.zeros(n)

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.n))

    def ask(self, noise):
        self.z = noise
        return self.mean + self.sigma * np.sqrt(self.C) * noise

    def tell(self, values):
        z = self.z[np.argsort(values)[: self.mu]]
        y = np.sqrt(self.C) * z
        self.g += 1
        self.mean = self.mean + self.sigma * self.w @ y
        self.p_s = (1 - self.c_s) * self.p_s + np.sqrt(self.c_s * (2 - self.c_s) * self.mu_w) * (self.w @ z)
        length = np.linalg.norm(self.p_s)
        usual = length / np.sqrt(1 - (1 - self.c_s) ** (2 * self.g)) < (1.4 + 2 / (self.n + 1)) * self.chi
        self.p_c = (1 - self.c_c) * self.p_c
        if usual:
            self.p_c = self.p_c + np.sqrt(self.c_c * (2 - self.c_c) * self.mu_w) * (self.w @ y)
        rank_one, rank_mu = self.p_c**2 / self.mu_w, (1 - 1 / self.mu_w) * (self.w @ y**2)
        self.C = (1 - self.c_cov) * self.C + self.c_cov * (rank_one + rank_mu)
        self.sigma = self.sigma * np.exp(self.c_s / self.d_s * (length / self.chi - 1))
