"""One call from a function to its minimum."""

import json

import jax
import numpy as np
import pytest

import jaxes
from jaxes.training import plots


def sphere(x):
    return float(np.sum(np.asarray(x, float) ** 2))


def rastrigin(x):
    x = np.asarray(x, float)
    return float(10 * x.size + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def test_reaches_the_target_and_counts_every_evaluation():
    calls = []
    result = jaxes.minimize_function(
        lambda x: calls.append(1) or sphere(x), np.ones(3), 0.5, target=1e-6, budget=2000, progress=False
    )
    assert result.stop == "target" and result.fun <= 1e-6 and result.restarts == 0
    assert result.nfev == len(calls) < 700
    assert result.fun == sphere(result.x)
    history = result.history
    assert history["nfev"][-1] == result.nfev and history["fun"][-1] == result.fun
    assert history["mean"].shape == (len(history["nfev"]), 3)
    assert "target" in repr(result)


def test_float64_where_jax_has_it_and_the_same_seed_gives_the_same_answer():
    with jax.enable_x64(True):
        first, second = (
            jaxes.minimize_function(sphere, np.ones(2), 0.5, target=1e-10, progress=False, seed=4) for _ in range(2)
        )
    assert first.x.dtype == np.float64 and first.stop == "target"
    np.testing.assert_array_equal(first.x, second.x)
    assert first.nfev == second.nfev


def test_vectorized_gives_the_same():
    many = lambda rows: np.array([sphere(row) for row in rows])
    options = {"budget": 140, "progress": False}
    a = jaxes.minimize_function(sphere, np.ones(3), 0.5, **options)
    b = jaxes.minimize_function(many, np.ones(3), 0.5, vectorized=True, **options)
    assert a.nfev == b.nfev == 140 and a.fun == b.fun and a.stop == b.stop == "budget"


def test_a_run_without_budget_ends_by_itself():
    result = jaxes.minimize_function(sphere, np.ones(2), 0.5, progress=False)
    assert result.stop and result.stop not in ("target", "budget")
    assert result.fun < 1e-8


@pytest.mark.parametrize("restarts", ["ipop", "bipop", 6])
def test_restarts(restarts):
    result = jaxes.minimize_function(
        rastrigin, lambda rng: rng.uniform(-3, 3, 2), 1.0, target=1e-4, budget=12_000, restarts=restarts, progress=False
    )
    assert result.stop == "target", result
    sizes = result.history["population_size"]
    runs = result.history["run"]
    first = [sizes[runs == run][0] for run in range(result.restarts + 1)]
    if restarts != "bipop":
        assert first == [6 * 2**i for i in range(len(first))]
    assert result.nfev <= 12_000


def test_bounds_trees_callbacks_and_other_strategies():
    rows = []
    result = jaxes.minimize_function(
        lambda x: sphere(x["a"]) + sphere(x["b"]),
        {"a": np.full(2, 2.0), "b": np.float32(3.0)},
        0.5,
        low={"a": 1.0, "b": -1.0},
        strategy=jaxes.snes,
        population_size=10,
        callback=lambda row: rows.append(row) or len(rows) == 40,
        progress=False,
    )
    assert result.stop == "callback" and len(rows) == 40
    assert np.all(result.x["a"] >= 1) and result.fun < 2.05


def test_failed_evaluations_cost_little():
    rng = np.random.default_rng(0)
    broken = lambda x: np.nan if rng.random() < 0.3 else sphere(x)
    result = jaxes.minimize_function(broken, np.ones(3), 0.5, target=1e-5, budget=3000, progress=False)
    assert result.stop == "target" and np.isfinite(result.history["mean"]).all()


def test_history_is_kept_and_drawn(tmp_path):
    jaxes.minimize_function(
        rastrigin, np.ones(2), 1.0, budget=700, restarts="ipop", out=tmp_path / "search", progress=False
    )
    kept = json.loads((tmp_path / "search/history.json").read_text())
    assert kept["nfev"] <= 700 and len(kept["history"]["sigma"]) == len(kept["history"]["nfev"])
    picture = plots.optimization(tmp_path / "search")
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 3}, "budget must be at least one generation of 7 evaluations, got 3"),
        ({"budget": 0}, "budget must be a whole number"),
        ({"restarts": "ipop"}, "budget must be given"),
        ({"restarts": "bi", "budget": 99}, "did you mean bipop"),
        ({"restarts": -1}, "restarts must be None"),
        ({"population_size": 1}, "population_size must be 2 or more"),
        ({"low": 2.0}, r"must start in \[2, inf\]"),
        ({"low": 1.0, "high": -1.0}, "low must be below high"),
        ({"target": np.nan}, "target must be a number"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        jaxes.minimize_function(sphere, np.ones(3), 0.5, progress=False, **options)


def test_negative_sigma_and_too_many_parameters():
    with pytest.raises(ValueError, match="sigma must be above 0, got -1"):
        jaxes.minimize_function(sphere, np.ones(3), -1.0, progress=False)
    with pytest.raises(ValueError, match="at most 10,000 numbers for cma_es, got 20,000"):
        jaxes.minimize_function(sphere, np.ones(20_000), 1.0, progress=False)
