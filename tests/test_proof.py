"""A part of docs/correctness.md, held: by default for one strategy of each kind, for all of them as `slow`."""

import numpy as np
import proof
import pytest

import jaxes

KINDS = ("snes", "simple_ga")
every = pytest.mark.parametrize(
    "name", [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in proof.SETTINGS]
)
# They read values, or compare them over generations; their docstrings say so.
BY_VALUE = {"esmc", "ars", "guided_es", "asebo", "gesmr_ga", "simulated_annealing"}
# Their papers' rules change sigma where fitness is noise: they refit to an elite, expect progress, or take a path that
# stays where it is for one that moves.
MANY = 301  # runs, where fewer do not tell
BIASED = {"cem", "rm_es", "iamalgam", "iamalgam, univariate", "cr_fm_nes"}


def test_every_strategy_has_a_setting():
    """All but those that need another problem, or whose gradient is measured in their own tests."""
    measured = {name.split(",")[0] for name in proof.SETTINGS}
    elsewhere = {"pes", "nres", "sv_open_es", "sv_cma_es"}
    assert measured | elsewhere == set(jaxes.STRATEGIES)


@every
def test_scale_and_place_of_the_fitness(name):
    """Rank-based strategies end with the same bits for fitness * 2^20; all of them with the problem moved."""
    found = proof.invariance(name)
    if name not in BY_VALUE:
        assert found.scaled
    assert found.translated < 1e-6


@every
def test_failures_cost_little_and_break_nothing(name):
    best, finite = proof.with_failures(name, 0.5, 1000, seeds=5)
    assert finite.all() and np.isfinite(best[:, -1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, setting in proof.SETTINGS.items() if setting.searches])
def test_no_drift_under_random_fitness(name):
    """Of the mean for all; of sigma for all whose rule has none, and as much as the reference's for the others."""
    drift = proof.drift(name, generations=300 if name in BIASED else 1000)  # before sigma is zero
    assert abs(drift.mean) < 3
    if name in BIASED:
        ours, theirs = proof.shrinkage(name)
        assert abs(ours - theirs) < 0.025
    else:
        assert abs(drift.log_sigma) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("function", ["sphere", "cigar"])
@pytest.mark.parametrize("name", proof.SETTINGS)
def test_as_many_evaluations_as_the_reference(name, function):
    theirs = proof.curves_of_reference(name, function)
    target, size = proof.common_target(theirs), proof.SETTINGS[name].size
    if target is None:
        pytest.skip("the reference gets nowhere either")
    mine = proof.curves(name, function)
    median = lambda curves: np.median(proof.evaluations(curves, target, size))
    if median(mine) > 1.5 * median(theirs):
        # The medians of so few runs may be far apart where some runs take ten times as long as others.
        mine, theirs = proof.curves(name, function, MANY), proof.curves_of_reference(name, function, MANY)
    assert median(mine) <= 1.5 * median(theirs)
