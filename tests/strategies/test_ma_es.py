"""ma_es: against its reference, and that rotations change nothing."""

import pytest
from gaussian_steps import (
    Case,
    functions,
    reaches_the_optimum,
    stays_finite,
    step_by_step,
    ten_rotations_change_nothing,
    two_rotations_change_nothing,
)

CASE = Case("ma_es", {"sigma": "sigma", "matrix": "M", "path_sigma": "s"}, 300, 1000)


@functions
def test_step_by_step(function):
    step_by_step(CASE, function)


@pytest.mark.slow
def test_sphere():
    reaches_the_optimum(CASE)


@pytest.mark.slow
def test_rotations_change_nothing():
    two_rotations_change_nothing(CASE)


@pytest.mark.slow
def test_ten_rotations_change_nothing():
    ten_rotations_change_nothing(CASE)


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
