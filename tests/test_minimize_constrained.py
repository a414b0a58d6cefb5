"""Searching functions where constraints are to hold."""

import math
import signal

import numpy as np
import pytest
from cec2006 import g06, g07, g09

import jaxes
from jaxes.search.values.boundary import Boundary
from jaxes.search.values.lagrangian import AugmentedLagrangian, nonnegative

sphere = lambda x: float(x @ x)


def search(f, constraints, x0=(3.0,) * 5, sigma=1.0, **settings):
    return jaxes.minimize_function(f, np.array(x0), sigma, constraints=constraints, verbose=0, **settings)


def holds(result, constraints):
    return result.violation == 0 and np.max(constraints(result.x)) <= 0


@pytest.mark.parametrize("active", [1, 5])
def test_the_sphere_with_linear_constraints(active):
    """The optimum is 1 in constrained coordinates; it is reached linearly, to 1e-9 with few evaluations."""
    linear = lambda x: 1 - x[:active]
    rng = np.random.default_rng(1)
    results = [search(sphere, linear, rng.uniform(-10, 10, 10), 5.0, seed=seed) for seed in range(3)]
    for result in results:
        assert holds(result, linear) and result.fun == sphere(result.x)
        assert active <= result.fun < active + 1e-9
        np.testing.assert_allclose(result.x, [1.0] * active + [0.0] * (10 - active), atol=1e-4)
    value = lambda result, away: result.history["nfev"][np.argmax(result.history["fun"] < active + away)]
    first, second = np.median([(value(r, 1e-3), value(r, 1e-6)) for r in results], axis=0)
    assert first < 1100 and second < 2 * first, (first, second)


@pytest.mark.parametrize(
    ("problem", "optimum", "box", "evaluations"),
    [
        (g06, -6961.81387558015, ([13.0, 0.0], [100.0, 100.0]), 1421),
        (g07, 24.30620906818, (-10.0, 10.0), 3215),
        (g09, 680.630057374402, (-10.0, 10.0), 2174),
    ],
    ids=["g06", "g07", "g09"],
)
def test_problems_of_cec_2006(problem, optimum, box, evaluations):
    """Within 1e-4 of the optimum, with fewer evaluations than pycma takes in the median of 15 seeds."""
    n = {g06: 2, g07: 10, g09: 7}[problem]
    low, high = (np.broadcast_to(side, n) for side in box)
    x0 = np.random.default_rng(0).uniform(low, high)
    constraints = lambda x: problem(x)[1]
    settings = {"bounds": (low, high), "target": optimum + 1e-4}
    result = search(lambda x: problem(x)[0], constraints, x0, np.mean(high - low) / 4, **settings)
    assert result.stop == "target" and holds(result, constraints)
    assert abs(result.fun - optimum) <= 1e-4 and result.nfev < evaluations


@pytest.mark.parametrize(
    ("f", "constraints", "optimum"),
    [
        (sphere, lambda x: x[0] - 100, 0.0),  # holds everywhere near
        (sphere, [lambda x: 1 - x[0], lambda x: [2 - x[1], x[1] - 5]], 5.0),
        (sphere, lambda x: np.concatenate([1 - x] * 6), 5.0),  # more constraints than members
        (sphere, lambda x: [1e12 * (1 - x[0]), 1e-12 * (1 - x[1])], 2.0),  # units do not matter
        (sphere, lambda x: [1 - x[0], -np.inf], 1.0),
        (sphere, lambda x: 1 - x[0] if x[1] < 2 else np.nan, 1.0),
        (sphere, lambda x: [x[0] - 1 - 1e-6, 1 - x[0] - 1e-6], 1.0),  # nearly an equality
        (lambda x: float(x.sum()), lambda x: x @ x - 1, -math.sqrt(5)),
        (lambda x: -sphere(x), lambda x: np.concatenate([x - 1, -1 - x]), -5.0),  # not convex
        (lambda x: sphere(x) if x[0] >= 1 else np.nan, lambda x: 1 - x[0], 1.0),  # no value where it is broken
        (lambda x: sphere(x) if x[0] >= 1 else np.inf, lambda x: 1 - x[0], 1.0),
        (lambda x: sphere(x) if x[0] >= 1 else 1e10, lambda x: 1 - x[0], 1.0),
    ],
    ids=["inactive", "several", "many", "units", "-inf", "nan", "equality", "linear", "concave", "none", "inf", "wall"],
)
def test_optima(f, constraints, optimum):
    result = search(f, constraints, seed=1, budget=8000)
    assert result.violation == 0 and result.fun == f(result.x)
    assert abs(result.fun - optimum) < 1e-5


@pytest.mark.parametrize("scale", [1e-6, 1e150])
def test_units_of_values_do_not_matter(scale):
    result = search(lambda x: scale * sphere(x), lambda x: 1 - x[:2])
    np.testing.assert_allclose(result.fun, 2 * scale, rtol=1e-4)


def test_a_start_far_from_where_constraints_hold():
    """Also if the function has no value until then."""
    constraints = lambda x: 1 - x[0]
    result = search(lambda x: sphere(x) if x[0] >= 1 else np.nan, constraints, [-30.0] * 5)
    assert holds(result, constraints) and result.fun < 1 + 1e-6


def test_a_feasible_point_is_enough_of_a_constant_function():
    constraints = lambda x: np.sum((x - 10) ** 2) - 1
    result = search(lambda x: 7.0, constraints)
    assert result.fun == 7 and holds(result, constraints)


def test_constraints_that_contradict_each_other():
    result = search(sphere, lambda x: [x[0] + 1, 1 - x[0]], budget=3000)
    assert 1 <= result.violation < 1.01 and f"{result.violation:.3g}" in repr(result)
    assert "No feasible point was found" in result.message
    assert result.fun == sphere(result.x)


def test_bounds_and_whole_numbers_with_constraints():
    result = search(sphere, lambda x: 6 - x.sum(), bounds=(1.1, 5.0))
    np.testing.assert_allclose(result.x, 1.2, atol=1e-4)
    assert result.x.min() >= 1.1 and result.x.sum() >= 6
    result = search(sphere, lambda x: 1.5 - x[0], integer=[0])
    assert result.x[0] == 2 and abs(result.fun - 4) < 1e-6


def test_the_target_is_for_feasible_points():
    constraints = lambda x: 1 - x[0]
    result = search(sphere, constraints, [-3.0] * 5, target=5.0)
    assert result.stop == "target" and result.fun <= 5 and holds(result, constraints)
    assert np.isnan(result.history["fun"][0])  # nothing was feasible


def test_the_budget_holds_and_both_are_called_alike():
    calls = {"f": 0, "g": 0}

    def f(x):
        calls["f"] += 1
        return sphere(x)

    def g(x):
        calls["g"] += 1
        return 1 - x[0]

    result = search(f, g, budget=500)
    assert result.stop == "budget" and calls["f"] == calls["g"] == result.nfev
    assert 490 <= result.nfev <= 500


def test_all_candidates_at_once_by_processes_and_as_trees():
    """The same search; a function may change what it gets."""
    alone = search(sphere, lambda x: [1 - x[0], 2 - x[1]], budget=400)
    at_once = search(lambda x: np.sum(x**2, 1), lambda x: np.array([1, 2]) - x[:, :2], budget=400, vectorized=True)
    assert at_once.fun == pytest.approx(alone.fun, rel=1e-12) and at_once.nfev == alone.nfev

    def changed(x):
        x -= 1
        return [-x[0], 1 - x[1]]

    processes = search(lambda x: float(x @ x), changed, budget=400, workers=2)
    assert processes.fun == alone.fun and (processes.x == alone.x).all()
    tree = {"a": np.full(3, 3.0), "b": np.full(2, 3.0)}
    f = lambda x: float(np.sum(x["a"] ** 2) + np.sum(x["b"] ** 2))
    result = jaxes.minimize_function(f, tree, 1.0, constraints=lambda x: 1 - x["b"][1], verbose=0)
    assert 1 <= result.fun < 1 + 1e-8 and result.x["b"][1] >= 1


def test_restarts_begin_with_new_multipliers():
    rastrigin = lambda x: float(np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10))
    result = search(rastrigin, lambda x: 1.5 - x[0], [3.3] * 3, 2.0, restarts=3, budget=20_000)
    assert result.restarts >= 1 and 3.9 < result.fun < 3.98


def test_other_strategies():
    result = search(sphere, lambda x: 1 - x[0], [3.0, 3.0], strategy="snes", target=1 + 1e-6)
    assert result.violation == 0 and result.stop == "target"


def test_a_folder_goes_on_to_the_same_numbers(tmp_path):
    constraints = lambda x: [1 - x[0], 2 - x[1]]
    whole = search(sphere, constraints, budget=900)
    search(sphere, constraints, budget=333, out=tmp_path)
    result = search(sphere, constraints, budget=900, out=tmp_path, resume=True)
    assert (result.x == whole.x).all() and result.fun == whole.fun and result.nfev == whole.nfev
    assert search(sphere, constraints, budget=333).resume(budget=900).fun == whole.fun
    with pytest.raises(ValueError, match="constraints=True"):
        jaxes.minimize_function(sphere, np.full(5, 3.0), 1.0, out=tmp_path, resume=True, verbose=0)


def test_a_folder_of_which_nothing_was_feasible(tmp_path):
    constraints = lambda x: [x[0] + 1, 1 - x[0]]
    whole = search(sphere, constraints, budget=400)
    search(sphere, constraints, budget=200, out=tmp_path)
    result = search(sphere, constraints, budget=400, out=tmp_path, resume=True)
    assert result.violation == whole.violation > 0 and result.fun == whole.fun


def test_an_interrupted_search_goes_on_to_the_same_numbers():
    constraints, calls = (lambda x: [1 - x[0], 2 - x[1]]), []

    def f(x):
        calls.append(x)
        if len(calls) == 203:
            signal.raise_signal(signal.SIGINT)
        return sphere(x)

    result = search(f, constraints)
    assert result.stop == "interrupted" and result.violation == 0
    whole = search(sphere, constraints, budget=600)
    assert result.resume(budget=600).fun == whole.fun


@pytest.mark.parametrize(
    ("constraints", "error", "message"),
    [
        (3.0, TypeError, "constraints must be a function of a candidate.* got 3.0"),
        ({"type": "ineq"}, TypeError, "constraints must be a function .* got a dict of 1"),
        ([], TypeError, "constraints must be a function .* got a list of 0"),
        (lambda: 1, TypeError, "constraints must be a function of a candidate"),
        (lambda x: x[0] < 1, TypeError, "got a boolean: for x.0. <= 1 return x.0. - 1"),
        (lambda x: [True, 1.0], TypeError, "got a boolean"),
        (lambda x: x < 1, TypeError, "got a boolean"),
        (lambda x: None, TypeError, "constraints must return numbers.* got None .no return"),
        (lambda x: [1.0, None], TypeError, "constraints must return numbers.* got None"),
        (lambda x: "a", TypeError, "constraints must return numbers"),
        (lambda x: 1j, TypeError, "constraints must return numbers"),
        (lambda x: np.ones((2, 2)), TypeError, r"an array of shape \(2, 2\)"),
        (lambda x: [], ValueError, "as many for each candidate, got 0"),
        (lambda x: np.ones(1 + int(x[0] > 3)), ValueError, "as many for each candidate, got"),
    ],
    ids=[f"case-{i}" for i in range(14)],
)
def test_what_is_refused(constraints, error, message):
    with pytest.raises(error, match=message):
        search(sphere, constraints, budget=100)


def test_what_is_refused_beside_constraints():
    with pytest.raises(ValueError, match="noisy must be False with constraints"):
        search(sphere, lambda x: 1 - x[0], noisy=True)
    with pytest.raises(ValueError, match=r"\[8, m\] or \[8\] numbers with vectorized=True, got the shape \(3,\)"):
        search(lambda x: np.sum(x**2, 1), lambda x: np.ones(3), vectorized=True)


def test_multipliers_of_linear_functions_are_exact():
    """Whatever is active: least squares on members are exact where everything is linear."""
    rng = np.random.default_rng(0)
    slopes, wanted = rng.normal(size=(3, 6)), np.array([2.0, 0.5, 3.0])
    x = 1e-3 * rng.normal(size=(12, 6))
    lagrangian = AugmentedLagrangian()
    lagrangian.update(-x @ slopes.T @ wanted + 1e-9 * rng.normal(size=12), x @ slopes.T)
    np.testing.assert_allclose(lagrangian.multipliers, wanted, rtol=1e-4)


def test_ranks_where_values_are_missing():
    """Feasible members, then those that break constraints, by how much; NaN where nothing is known."""
    g = np.array([[-1.0], [1.0], [2.0], [-2.0], [np.nan], [-3.0]])
    f = np.array([5.0, np.nan, np.nan, 4.0, 1.0, np.nan])
    lagrangian = AugmentedLagrangian()
    lagrangian.update(f, g)
    values = lagrangian.values(f, g)
    assert np.isnan(values[[4, 5]]).all()
    assert values[3] < values[0] < values[1] < values[2]


def test_least_squares_without_negative_numbers():
    scipy = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for _ in range(50):
        m = rng.integers(1, 9)
        a, b = rng.normal(size=(12, m)), rng.normal(size=12)
        np.testing.assert_allclose(nonnegative(a.T @ a, a.T @ b), scipy.nnls(a, b)[0], atol=1e-10)


def test_a_point_on_curved_constraints():
    """Off by the square of the spread, and inside after the margin has been learned."""
    rng, boundary = np.random.default_rng(0), Boundary()
    g = lambda x: np.sum(x**2, axis=-1, keepdims=True) - 1
    for spread in 0.1 * 0.8 ** np.arange(30):
        x = np.array([1.0, 0.0, 0.0]) + spread * rng.normal(size=(8, 3))
        point = boundary.propose(x, g(x), -x[:, 0], np.array([True]))
        if point is not None:
            boundary.learn(g(point), bool((g(point) <= 0).all()))
    assert -0.1 * spread < g(point)[0] <= 0
