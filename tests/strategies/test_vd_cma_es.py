"""vd_cma_es: against its reference; the shape of its Gaussian: test_parts_stretched.py."""

import pytest
from gaussian_steps import Case, functions, reaches_the_optimum, stays_finite, step_by_step

CASE = Case("vd_cma_es", {"sigma": "sigma", "d": "D", "v": "v", "path_c": "p_c", "path_sigma": "p_s"}, 400)


@functions
def test_step_by_step(function):
    step_by_step(CASE, function)


@pytest.mark.slow
def test_sphere():
    reaches_the_optimum(CASE)


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
