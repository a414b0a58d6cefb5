"""lm_ma_es: against its reference, and that rotations change nothing; how much it holds: test_parts_memory.py."""

import pytest
from gaussian_steps import (
    SIZE,
    Case,
    functions,
    reaches_the_optimum,
    stays_finite,
    step_by_step,
    ten_rotations_change_nothing,
    two_rotations_change_nothing,
)

import jaxes

CASE = Case("lm_ma_es", {"sigma": "sigma", "directions": "M", "path_sigma": "p"}, 400, 20000)


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


@pytest.mark.parametrize("memory", [0, 2.0, True])
def test_bad_memory(memory):
    with pytest.raises(ValueError, match="memory must be an int of 1 or more"):
        jaxes.lm_ma_es(SIZE, memory=memory)


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
