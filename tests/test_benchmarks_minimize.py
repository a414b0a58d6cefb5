"""What the benchmarks of searches count, and a run of each side."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


@pytest.fixture
def profiles(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    return importlib.import_module("_profiles")


@pytest.fixture
def minimize(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    return importlib.import_module("minimize")


def test_a_profile_counts_the_evaluation_at_which_a_target_is_reached(profiles):
    hits = profiles.Hits(lambda x: x)
    for value in (500.0, 80.0, 90.0, 1e-9, 1e-9):
        hits(value)
    assert len(hits.at) == 51 and hits.at[0] == 2 and set(hits.at[1:]) == {4}
    curve = profiles.curve([hits.at, []], n=2)  # two runs, one of which reached nothing
    before, at = np.searchsorted(profiles.GRID, 1.5), np.searchsorted(profiles.GRID, 2.0)
    assert curve[before] == round(1 / 102, 4) and curve[at] == curve[-1] == 0.5


def test_both_sides_of_a_profile_run(profiles):
    pytest.importorskip("ioh")
    bbob = importlib.import_module("bbob")

    for run in (bbob.ours_to_the_end, bbob.pycma_to_the_end):
        assert len(profiles.reached(run, bbob.of, (1, 1, 2))) == 51


def test_a_picture_is_drawn(profiles, tmp_path, monkeypatch):
    monkeypatch.setattr(profiles._measure, "RESULTS", tmp_path)
    monkeypatch.setitem(profiles.INSTANCES, 2, 1)
    count = lambda hits, case: [hits(value) for value in np.logspace(3, -case[0] / 3, 40)]
    of = lambda case: lambda x: x
    with ThreadPoolExecutor(1) as pool:
        found = profiles.measure(pool, {"jaxes": count, "pycma": count}, of, 2)
    assert found["area"]["jaxes"] == found["area"]["pycma"] > 0.1
    assert profiles.draw(found, 2).stat().st_size > 10_000


@pytest.mark.parametrize("side", ["jaxes", "pycma"])
@pytest.mark.parametrize("name", ["Rosenbrock, n = 10", "mixed sphere, n = 5", "one-max, n = 5"])
def test_a_side_solves_its_problems(minimize, side, name):
    pytest.importorskip("cma")
    problem = {**minimize.PROBLEMS, **minimize.integer_problems()}[name]
    found = minimize.SIDES[side](problem, 1)
    assert found.value <= problem.target and found.evaluations > 5
    if side == "jaxes":
        assert found.exact


def test_an_evaluation_counts_until_the_target_is_reached(minimize):
    counted = minimize.Counted(minimize.Problem(lambda x: x, 0.0, 1.0, target=1.0))
    for value in (3.0, 0.5, 0.2, 7.0):
        counted(value)
    assert (counted.best, counted.evaluations) == (0.5, 2)


def test_what_was_asked_is_told_with_what_was_measured(minimize):
    row = {"jaxes": {"solved": 14}, "pycma": {"solved": 15}, "ratio, median": 1.1}
    bounds = minimize.bounds_of({"integer": {"one-max": row}, "exact": {"second": [9, 10]}})
    assert bounds == {
        "one-max: solved - pycma's": {"measured": -1, "at_least": 0, "reached": False},
        "one-max: evaluations / pycma's": {"measured": 1.1, "at_most": 1.2, "reached": True},
        "results whose x has another value than they say": {"measured": 1, "at_most": 0, "reached": False},
    }
