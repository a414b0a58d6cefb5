"""MA-ES from Beyer & Sendhoff 2017, Fig. 3, in NumPy."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.mean = np.array(x0, float)
        N, lam = len(x0), population_size
        self.N, self.lam, self.sigma, self.mu = N, lam, sigma, lam // 2
        w = np.log((lam + 1) / 2) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mu_eff = 1 / np.sum(self.w**2)
        self.c_s = (self.mu_eff + 2) / (self.mu_eff + N + 5)
        self.c_1 = 2 / ((N + 1.3) ** 2 + self.mu_eff)
        self.c_w = min(1 - self.c_1, 2 * (self.mu_eff + 1 / self.mu_eff - 2) / ((N + 2) ** 2 + self.mu_eff))
        self.d_s = 1 + self.c_s + 2 * max(0, np.sqrt((self.mu_eff - 1) / (N + 1)) - 1)
        self.chi = np.sqrt(N) * (1 - 1 / (4 * N) + 1 / (21 * N**2))
        self.M, self.s = np.eye(N), np.zeros(N)

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.N))

    def ask(self, noise):
        self.z = noise
        return np.stack([self.mean + self.sigma * (self.M @ z) for z in noise])

    def tell(self, values):
        z = self.z[np.argsort(values)[: self.mu]]
        self.mean = self.mean + self.sigma * sum(w * (self.M @ v) for w, v in zip(self.w, z, strict=True))
        self.s = (1 - self.c_s) * self.s + np.sqrt(self.mu_eff * self.c_s * (2 - self.c_s)) * (self.w @ z)
        eye = np.eye(self.N)
        zz = sum(w * np.outer(v, v) for w, v in zip(self.w, z, strict=True))
        self.M = self.M @ (eye + self.c_1 / 2 * (np.outer(self.s, self.s) - eye) + self.c_w / 2 * (zz - eye))
        self.sigma = self.sigma * np.exp(self.c_s / self.d_s * (np.linalg.norm(self.s) / self.chi - 1))
