"""NRES (Li et al. 2023, Algorithm 3, workers in lockstep), with gradient descent."""

from references.unrolled import Workers


class Reference(Workers):
    def generation(self, z):
        if self.t % self.unrolls == 0:
            self.eps = self.sigma * z
        loss = self.losses(self.eps)
        g = sum(self.eps[i] * (loss[i, 0] - loss[i, 1]) for i in range(self.pairs)) / (2 * self.pairs * self.sigma**2)
        self.theta -= self.eta * g
