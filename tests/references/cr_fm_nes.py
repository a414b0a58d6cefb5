"""CR-FM-NES from Nomura & Ono 2022, Algorithm 1, in NumPy, with the natural gradient of `references.vd_cma_es`."""

import numpy as np
from references.vd_cma_es import natural_gradient


class Reference:
    def __init__(self, x0, sigma, population_size, v0=None):
        self.mean = np.array(x0, float)
        d, lam = len(x0), population_size
        self.d, self.lam, self.sigma = d, lam, sigma
        self.D, self.p_s, self.p_c = np.ones(d), np.zeros(d), np.zeros(d)
        self.v = np.random.default_rng(0).standard_normal(d) / np.sqrt(d) if v0 is None else np.array(v0)
        self.w_hat = np.maximum(0, np.log(lam / 2 + 1) - np.log(np.arange(1, lam + 1)))
        self.w_rank = self.w_hat / self.w_hat.sum() - 1 / lam
        self.mu_eff = m = 1 / np.sum((self.w_rank + 1 / lam) ** 2)
        self.c_s, self.c_c = (m + 2) / (d + m + 5), (4 + m / d) / (d + 4 + 2 * m / d)
        self.c_1 = (d - 5) / 6 * 2 / ((d + 1.3) ** 2 + m)
        self.chi = np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))
        a = 1.0
        for _ in range(200):  # Newton
            h = (1 + a**2) * np.exp(a**2 / 2) / 0.24 - 10 - d
            a -= 0.5 * h / (a * np.exp(a**2 / 2) * (3 + a**2) / 0.24)
        self.alpha = a * min(1, np.sqrt(lam / d))
        self.eta_B = np.tanh((min(0.02 * lam, 3 * np.log(d)) + 5) / (0.23 * d + 25))
        self.eta_stag = np.tanh((0.024 * lam + 0.7 * d + 20) / (d + 12))
        self.eta_conv = 2 * np.tanh((0.025 * lam + 0.75 * d + 10) / (d + 4))
        self.phases = set()

    def noise(self, rng):
        return rng.standard_normal((self.lam // 2, self.d))

    def ask(self, noise):
        self.z = np.stack([noise, -noise], axis=1).reshape(self.lam, self.d)
        norm = np.linalg.norm(self.v)
        bar = self.v / norm
        self.y = np.array([z + (np.sqrt(1 + norm**2) - 1) * bar * (bar @ z) for z in self.z])
        self.x = self.mean + self.sigma * self.D * self.y
        return self.x

    def tell(self, values):
        order = np.argsort(values)
        z, x = self.z[order], self.x[order]
        m, lam = self.mu_eff, self.lam
        self.p_s = (1 - self.c_s) * self.p_s + np.sqrt(self.c_s * (2 - self.c_s) * m) * self.w_rank @ z
        length = np.linalg.norm(self.p_s)
        moves = length >= self.chi
        w = self.w_rank
        if moves:
            w = self.w_hat * np.exp(self.alpha * np.linalg.norm(z, axis=1))
            w = w / w.sum() - 1 / lam
            phase, eta = "move", 1.0
        elif length >= 0.1 * self.chi:
            phase, eta = "stag", self.eta_stag
        else:
            phase, eta = "conv", self.eta_conv
        self.phases.add(phase)
        wxm = w @ (x - self.mean)
        self.p_c = (1 - self.c_c) * self.p_c + np.sqrt(self.c_c * (2 - self.c_c) * m) * wxm / self.sigma
        samples = [*zip(self.eta_B * w, (x - self.mean) / self.sigma, strict=True)]
        if moves:
            samples.append((self.c_1, self.p_c))
        self.mean = self.mean + wxm
        dv, dD = natural_gradient(self.v, self.D, samples)
        self.v, self.D = self.v + dv, self.D + dD
        log_det = np.sum(np.log(self.D)) + 0.5 * np.log(1 + self.v @ self.v)
        self.D = self.D / np.exp(log_det / self.d)
        g = np.sum(w @ (z**2 - 1)) / self.d
        if not (moves and g < 0):
            self.sigma = self.sigma * np.exp(eta / 2 * g)
