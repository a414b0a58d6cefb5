"""PES (Vicol et al. 2021, Algorithm 2), with gradient descent."""

from references.unrolled import Workers


class Reference(Workers):
    def generation(self, z):
        eps = self.sigma * z
        loss = self.losses(eps)
        self.xi = self.xi + eps
        g = sum(self.xi[i] * (loss[i, 0] - loss[i, 1]) for i in range(self.pairs)) / (2 * self.pairs * self.sigma**2)
        self.theta -= self.eta * g
