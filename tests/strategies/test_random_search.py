"""random_search: against its reference, and that both hit a target as often."""

import numpy as np
from population_steps import Case, ellipsoid, normals, ours, reference, step_by_step
from references.random_search import Reference

import jaxes

CASE = Case(Reference, jaxes.random_search(20, 1.0), 1.0, normals, 60, 2.0)


def test_step_by_step():
    step_by_step(CASE)


def test_hits_as_often_as_the_reference_does():
    target, theirs, rng = CASE.target, reference(CASE), np.random.default_rng(7)
    theirs.tell(np.zeros(len(theirs.ask(theirs.noise(rng)))))
    share = np.mean([[ellipsoid(x) < target for x in theirs.ask(theirs.noise(rng))] for _ in range(1000)])
    values = ours(CASE).values
    assert abs(np.mean(values < target) - share) < 4 * (share / values.size) ** 0.5
