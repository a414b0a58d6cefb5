"""samr_ga: against its reference. What it shares with simple_ga is tested there in every run."""

import pytest
from population_steps import Case, genetic_noise, reaches_the_target, step_by_step
from references.samr_ga import Reference

import jaxes

CASE = Case(Reference, jaxes.samr_ga(20, 0.3), 0.3, genetic_noise, 100, 1e-3, lambda r: [e[2] for e in r.elders])


@pytest.mark.slow
def test_step_by_step():
    step_by_step(CASE)


@pytest.mark.slow
def test_reaches_the_target_as_the_reference_does():
    reaches_the_target(CASE)


def test_elite_fraction():
    for fraction in (0, 1.5, "half"):
        with pytest.raises(ValueError, match=r"elite_fraction must be a number in \(0, 1\]"):
            jaxes.samr_ga(8, elite_fraction=fraction)
