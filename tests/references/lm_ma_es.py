"""LM-MA-ES from Loshchilov, Glasmachers & Beyer 2017, Algorithm 1, in NumPy; rates of a path at most one."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size):
        self.mean = np.array(x0, float)
        n, lam = len(x0), population_size
        self.n, self.lam, self.sigma, self.t = n, lam, sigma, 0
        self.mu = lam // 2
        w = np.log(self.mu + 0.5) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mu_w = 1 / np.sum(self.w**2)
        self.m = 4 + int(3 * np.log(n))
        self.c_s = min(2 * lam / n, 1)
        self.c_d = [1 / (1.5**i * n) for i in range(self.m)]
        self.c_c = [min(lam / n, 1) / 4**i for i in range(self.m)]
        self.p, self.M = np.zeros(n), np.zeros((self.m, n))

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.n))

    def ask(self, noise):
        self.z, self.d = noise, []
        for z in noise:
            d = z
            for j in range(min(self.t, self.m)):
                d = (1 - self.c_d[j]) * d + self.c_d[j] * self.M[j] * (self.M[j] @ d)
            self.d.append(d)
        self.d = np.array(self.d)
        return self.mean + self.sigma * self.d

    def tell(self, values):
        best = np.argsort(values)[: self.mu]
        z_w = self.w @ self.z[best]
        self.mean = self.mean + self.sigma * (self.w @ self.d[best])
        self.p = (1 - self.c_s) * self.p + np.sqrt(self.mu_w * self.c_s * (2 - self.c_s)) * z_w
        for i, c in enumerate(self.c_c):
            self.M[i] = (1 - c) * self.M[i] + np.sqrt(self.mu_w * c * (2 - c)) * z_w
        self.sigma = self.sigma * np.exp(self.c_s / 2 * (self.p @ self.p / self.n - 1))
        self.t += 1
