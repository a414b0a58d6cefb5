"""sep_cma_es: against its reference."""

import pytest
from gaussian_steps import Case, functions, reaches_the_optimum, stays_finite, step_by_step

CASE = Case("sep_cma_es", {"sigma": "sigma", "variance": "C", "path_c": "p_c"}, 300)


@functions
def test_step_by_step(function):
    step_by_step(CASE, function)


@pytest.mark.slow
def test_sphere():
    reaches_the_optimum(CASE)


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
