"""The closed-form discovered evolution strategy (Lange et al. 2023)."""

import numpy as np


class Reference:
    def __init__(self, x0, sigma, population_size, temperature=12.5, alpha_m=1.0, alpha_sigma=0.1):
        self.mean, self.sigma, self.N = np.array(x0), np.full(len(x0), float(sigma)), population_size
        self.temperature, self.alpha_m, self.alpha_sigma = temperature, alpha_m, alpha_sigma

    def noise(self, rng):
        return rng.standard_normal((self.N, len(self.mean)))

    def ask(self, noise):
        self.x = self.mean + self.sigma * noise
        return self.x

    def tell(self, values):
        x = self.x[np.argsort(values)]
        r = np.linspace(-0.5, 0.5, self.N)
        logits = 20 * (1 - 1 / (1 + np.exp(-self.temperature * r)))
        w = np.exp(logits - logits.max())
        w = (w / w.sum())[:, None]
        away = x - self.mean
        self.mean = self.mean + self.alpha_m * (w * away).sum(0)
        self.sigma = self.sigma + self.alpha_sigma * (np.sqrt((w * away**2).sum(0)) - self.sigma)
