"""VD-CMA from Akimoto, Auger & Hansen 2014, Algorithm 1, in NumPy.

The paper's closed form of the natural gradient is not used: gradient and Fisher matrix are computed entry by entry from
the covariance's derivatives and solved for, with alpha < 1 scaling the blocks that couple v with D (section 4.1).
"""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, v0=None):
        self.mean = np.array(x0, float)
        n, lam = len(x0), population_size
        self.n, self.lam, self.sigma, self.mu = n, lam, sigma, lam // 2
        w = np.log((lam + 1) / 2) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mu_eff = m = 1 / np.sum(self.w**2)
        cf = max((n - 5) / 6, 0.5)
        self.c_c = (4 + m / n) / (n + 4 + 2 * m / n)
        self.c_1 = cf * 2 / ((n + 1.3) ** 2 + m)
        self.c_mu = min(1 - self.c_1, cf * 2 * (m - 2 + 1 / m) / ((n + 2) ** 2 + m))
        self.c_s = np.sqrt(m) / (2 * (np.sqrt(n) + np.sqrt(m)))
        self.d_s = 1 + 2 * max(0, np.sqrt((m - 1) / (n + 1)) - 1) + self.c_s
        self.chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self.D, self.p_s, self.p_c = np.ones(n), np.zeros(n), np.zeros(n)
        self.v = np.random.default_rng(0).standard_normal(n) / np.sqrt(n) if v0 is None else np.array(v0)

    def noise(self, rng):
        return rng.standard_normal((self.lam, self.n))

    def ask(self, noise):
        self.z = noise
        norm = np.linalg.norm(self.v)
        root = np.eye(self.n) + (np.sqrt(1 + norm**2) - 1) * np.outer(self.v, self.v) / norm**2
        self.y = (noise @ root) * self.D
        return self.mean + self.sigma * self.y

    def tell(self, values):
        n, best = self.n, np.argsort(values)[: self.mu]
        y = self.y[best]
        self.mean = self.mean + self.sigma * self.w @ y
        self.p_s = (1 - self.c_s) * self.p_s + np.sqrt(self.c_s * (2 - self.c_s) * self.mu_eff) * self.w @ self.z[best]
        h = self.p_s @ self.p_s < (2 + 4 / (n + 1)) * n
        self.p_c = (1 - self.c_c) * self.p_c + h * np.sqrt(self.c_c * (2 - self.c_c) * self.mu_eff) * self.w @ y
        samples = [*zip(self.c_mu * self.w, y, strict=True), (h * self.c_1, self.p_c)]
        dv, dD = natural_gradient(self.v, self.D, samples)
        change = min(1, 0.7 * np.linalg.norm(self.v) / np.linalg.norm(dv), 0.7 * np.min(self.D / np.abs(dD)))
        self.v, self.D = self.v + change * dv, self.D + change * dD
        self.sigma = self.sigma * np.exp(self.c_s / self.d_s * (np.linalg.norm(self.p_s) / self.chi - 1))


def natural_gradient(v, D, samples):
    """Steps of v and D for samples (weight, y) of N(0, D (I + v v^T) D)."""
    n, gamma = len(v), 1 + v @ v
    S = np.eye(n) + np.outer(v, v)
    C = np.outer(D, D) * S
    inverse = np.linalg.inv(C)
    slopes = []
    for i in range(n):  # dC / dv_i
        e = np.eye(n)[i]
        slopes.append(np.outer(D, D) * (np.outer(e, v) + np.outer(v, e)))
    for i in range(n):  # dC / dD_i
        e = np.eye(n)[i]
        slopes.append((np.outer(e, D) + np.outer(D, e)) * S)
    residual = sum(w * (np.outer(y, y) - C) for w, y in samples)
    white = inverse @ np.array(slopes)
    gradient = 0.5 * np.einsum("iab,ba->i", white, inverse @ residual)  # traces
    fisher = 0.5 * np.einsum("iab,jba->ij", white, white)
    room = (2 * gamma - np.sqrt(gamma)) / np.max(v**2 / (v @ v))
    alpha = min(1, np.sqrt((v @ v) ** 2 + room) / (2 + v @ v))
    fisher[:n, n:] *= alpha
    fisher[n:, :n] *= alpha
    step = np.linalg.solve(fisher, gradient)
    return step[:n], step[n:]
