"""Stein variational CMA-ES (Braun et al. 2025): CMA-ES (Hansen 2016, without negative weights) in every particle.

Its mean is also pushed by an RBF kernel; as in ours, times sigma^2 C, bounded, with h >= 2 sigma^2 trace(C), and seen
by the path of the step size only where that one is shorter then.
"""

import numpy as np


class Reference:
    def __init__(self, starts, sigma, members, repulsion=1.0, bandwidth=1.0):
        self.x, self.size = np.array(starts), members
        count, n = self.x.shape
        self.repulsion, self.bandwidth = repulsion, bandwidth
        self.s, self.C, self.root = np.full(count, sigma), np.stack([np.eye(n)] * count), np.stack([np.eye(n)] * count)
        self.p_s, self.p_c, self.p_r, self.g = np.zeros((count, n)), np.zeros((count, n)), np.zeros((count, n)), 0

    def ask(self, noise, roots=None):
        """noise: float64[particles, members, n]; roots: A with A A^T = C, the symmetric one if not given."""
        self.root = self.root if roots is None else roots
        self.y = np.einsum("pij,pmj->pmi", self.root, noise)
        return (self.x[:, None] + self.s[:, None, None] * self.y).reshape(-1, self.x.shape[1])

    def tell(self, values):
        count, n = self.x.shape
        values = values.reshape(count, self.size)
        mu = self.size // 2
        w = np.log((self.size + 1) / 2) - np.log(np.arange(1, mu + 1))
        w = w / w.sum()
        mueff = 1 / (w**2).sum()
        c_1, c_s = 2 / ((n + 1.3) ** 2 + mueff), (mueff + 2) / (n + mueff + 5)
        c_mu = min(1 - c_1, 2 * (0.25 + mueff + 1 / mueff - 2) / ((n + 2) ** 2 + mueff))
        d_s = 1 + 2 * max(0, np.sqrt((mueff - 1) / (n + 1)) - 1) + c_s
        c_c = (4 + mueff / n) / (n + 4 + 2 * mueff / n)
        chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        square = ((self.x[:, None] - self.x[None]) ** 2).sum(2)
        h = self.bandwidth * np.median(square[np.triu_indices(count, 1)]) / np.log(count)
        h = max(h, 2 * np.mean([s**2 * np.trace(A @ A.T) for s, A in zip(self.s, self.root, strict=True)]))
        k = np.exp(-square / h)
        means = []
        for i in range(count):
            push = sum(2 / h * k[i, j] * (self.x[i] - self.x[j]) for j in range(count)) / count
            y = self.y[i][np.argsort(values[i])][:mu]
            step = w @ y
            white = np.linalg.solve(self.root[i], step)
            self.p_s[i] = (1 - c_s) * self.p_s[i] + np.sqrt(c_s * (2 - c_s) * mueff) * white
            norm = np.linalg.norm(self.p_s[i])
            steady = norm / np.sqrt(1 - (1 - c_s) ** (2 * (self.g + 1)))
            h_s = float(steady < (1.4 + 2 / (n + 1)) * chi)
            self.p_c[i] = (1 - c_c) * self.p_c[i] + h_s * np.sqrt(c_c * (2 - c_c) * mueff) * step
            kept = 1 + c_1 * (1 - h_s) * c_c * (2 - c_c) - c_1 - c_mu
            self.C[i] = kept * self.C[i] + c_1 * np.outer(self.p_c[i], self.p_c[i]) + c_mu * (y.T * w) @ y
            push = self.repulsion * self.s[i] * self.root[i].T @ push
            push *= min(1, np.sqrt(n * c_s / ((2 - c_s) * mueff)) / np.linalg.norm(push))
            self.p_r[i] = (1 - c_s) * self.p_r[i] + np.sqrt(c_s * (2 - c_s) * mueff) * push
            means.append(self.x[i] + self.s[i] * (step + self.root[i] @ push))
            norm = min(norm, np.linalg.norm(self.p_s[i] + self.p_r[i]))
            self.s[i] *= np.exp(c_s / d_s * (norm / chi - 1))
        self.x, self.g = np.array(means), self.g + 1
