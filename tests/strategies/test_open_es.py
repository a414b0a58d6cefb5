"""open_es: against the paper's algorithm, with mirrored members and without."""

import pytest
from references.open_es import Reference
from simple_steps import START, step_by_step

import jaxes


class OneSided(Reference):
    def ask(self, noise):
        self.eps = noise
        return self.mean + self.sigma * noise


@pytest.mark.parametrize("antithetic", [True, False])
def test_step_by_step(antithetic, x64):
    n, sigma, rate = 16, 0.1, 0.05
    strategy = jaxes.open_es(n, sigma, learning_rate=rate, antithetic=antithetic)
    reference = (Reference if antithetic else OneSided)(START, sigma, n, alpha=rate)
    step_by_step(strategy, reference, n // 2 if antithetic else n, 100)
