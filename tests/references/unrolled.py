"""What pes.py and nres.py share: pairs of workers on influence balancing.

The inner problem is influence balancing (Tallec & Ollivier 2017; Vicol et al. 2021, section 5): a linear system
s <- A s + (theta, ..., theta, -theta, ..., -theta) with the loss (s_1 - 1)^2 / 2 in each step. The near influence of
theta on s_1 is positive, the far one negative, so that short horizons see the gradient with the wrong sign.
"""

import numpy as np

SIZE, POSITIVE = 5, 2
A = 0.5 * np.eye(SIZE) + 0.5 * np.eye(SIZE, k=1)
SIGNS = np.where(np.arange(SIZE) < POSITIVE, 1.0, -1.0)


def inner_step(s, theta):
    s = A @ s + SIGNS * theta
    return s, 0.5 * (s[0] - 1) ** 2


class Workers:
    """Pairs of mirrored workers, each with its own inner state; `unrolls` pieces of one step in an episode."""

    def __init__(self, theta, sigma, pairs, unrolls, eta):
        self.theta, self.sigma, self.pairs, self.unrolls, self.eta = float(theta), sigma, pairs, unrolls, eta
        self.t = 0

    def losses(self, eps):
        """Each worker makes a step with its perturbation; returns float64[pairs, 2]."""
        if self.t % self.unrolls == 0:
            self.s = np.zeros((self.pairs, 2, SIZE))
            self.xi = np.zeros(self.pairs)
        out = np.empty((self.pairs, 2))
        for i in range(self.pairs):
            for j, sign in enumerate((1, -1)):
                self.s[i, j], out[i, j] = inner_step(self.s[i, j], self.theta + sign * eps[i])
        self.t += 1
        return out
