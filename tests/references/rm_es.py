"""Rm-ES from Li & Zhang 2018, Algorithms 1-3, in NumPy; the first generation has none to be compared with."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, m=2):
        self.mean = np.array(x0, float)
        n, lam = len(x0), population_size
        self.n, self.lam, self.sigma, self.m, self.t = n, lam, sigma, m, 0
        self.mu = lam // 2
        w = np.log(self.mu + 1) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mu_eff = 1 / np.sum(self.w**2)
        self.c_cov, self.c_c = 1 / (3 * np.sqrt(n) + 5), 2 / (n + 7)
        self.c_s, self.q_star, self.d_sigma, self.T = 0.3, 0.3, 1.0, n
        self.p, self.s = np.zeros(n), 0.0
        self.P, self.t_hat = [np.zeros(n) for _ in range(m)], [0] * m
        self.F = None

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.n + self.m))

    def ask(self, noise):
        a, b = np.sqrt(1 - self.c_cov), np.sqrt(self.c_cov)
        self.x = []
        for row in noise:
            z, r = row[: self.n], row[self.n :]
            y = a**self.m * z
            for i in range(1, self.m + 1):
                y = y + b * a ** (self.m - i) * r[i - 1] * self.P[i - 1]
            self.x.append(self.mean + self.sigma * y)
        self.x = np.array(self.x)
        return self.x

    def tell(self, values):
        order = np.argsort(values)[: self.mu]
        new_mean = self.w @ self.x[order]
        self.p = (1 - self.c_c) * self.p + np.sqrt(self.c_c * (2 - self.c_c) * self.mu_eff) * (
            new_mean - self.mean
        ) / self.sigma
        self.mean = new_mean
        gaps = np.diff(self.t_hat)
        goes = 0 if len(gaps) == 0 or gaps.min() > self.T or self.t < self.m else int(np.argmin(gaps)) + 1
        del self.P[goes], self.t_hat[goes]
        self.P.append(self.p)
        self.t_hat.append(self.t)
        F = values[order]
        if self.F is not None:
            both = np.concatenate([self.F, F])
            rank = np.empty(2 * self.mu)
            rank[np.argsort(both)] = np.arange(1, 2 * self.mu + 1)
            q = self.w @ (rank[: self.mu] - rank[self.mu :]) / self.mu
            self.s = (1 - self.c_s) * self.s + self.c_s * (q - self.q_star)
            self.sigma = self.sigma * np.exp(self.s / self.d_sigma)
        self.F = F
        self.t += 1

    @property
    def directions(self):
        return np.array(self.P)
