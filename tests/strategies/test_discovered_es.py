"""discovered_es: against its reference."""

import numpy as np
import pytest
from gradient_steps import START, assert_alike, evaluations, reference_evaluations, step_by_step
from references.discovered_es import Reference

import jaxes


def test_step_by_step(x64):
    def same(state, reference):
        np.testing.assert_allclose(state.sigma, reference.sigma, rtol=1e-6)

    step_by_step(jaxes.discovered_es(12, 0.3), Reference(START, 0.3, 12), 12, same=same)


@pytest.mark.slow
def test_sphere():
    ours = evaluations(jaxes.discovered_es(20, 0.3), 1e-4, 300)
    make = lambda: Reference(START, 0.3, 20)
    assert_alike(ours, reference_evaluations(make, 20, 1e-4, 300))
