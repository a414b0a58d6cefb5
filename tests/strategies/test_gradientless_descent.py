"""gradientless_descent: against its reference."""

from population_steps import Case, normals, reaches_the_target, step_by_step
from references.gradientless_descent import Reference

import jaxes

CASE = Case(Reference, jaxes.gradientless_descent(11, 1.0, ratio=2.0**-10), 1.0, normals, 150, 1e-2)


def test_step_by_step():
    step_by_step(CASE)


def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)
