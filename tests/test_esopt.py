"""A stateful ask/tell loop for NumPy objectives."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import jaxes


def cost(x):
    return float(np.sum((np.asarray(x) - 1) ** 2))


@pytest.mark.parametrize("maximize", [True, False])
def test_finds_the_optimum(maximize):
    opt = jaxes.ESOpt(np.ones(3), sigma=0.1, population_size=20, maximize=maximize, learning_rate=0.1)
    seen = []
    for _ in range(60):
        candidates = opt.ask()
        assert isinstance(candidates, np.ndarray) and candidates.shape == (20, 3)
        values = np.sum(candidates**2, axis=1) * (-1 if maximize else 1)
        opt.tell(values)
        seen.extend(values)
    assert np.sum(opt.mean**2) < 0.1
    assert opt.best_value == (max(seen) if maximize else min(seen))
    assert np.sum(opt.best**2) == abs(opt.best_value)


@pytest.mark.parametrize("given", [{}, {"maximize": None}, {"maximize": "no"}, {"maximize": 0}])
def test_which_values_are_better_must_be_told(given):
    with pytest.raises(TypeError, match="minimize=True or maximize=True must be given: maximize if higher"):
        jaxes.ESOpt(np.ones(3), 0.1, 10, **given)


def test_order_of_calls_and_failures():
    opt = jaxes.ESOpt(np.ones(3), population_size=4, maximize=True)
    assert opt.best is None and opt.best_value is None
    with pytest.raises(RuntimeError, match="tell must follow ask"):
        opt.tell(np.zeros(4))
    first = opt.ask()
    np.testing.assert_array_equal(first, opt.ask())
    opt.tell([np.nan] * 4)
    assert opt.best is None
    opt.ask()
    opt.tell([1, np.nan, 3, 2])
    assert opt.best_value == 3


@pytest.mark.parametrize("x0", [10 * [0.0], tuple(range(10)), np.zeros(10, np.float32), jnp.zeros(10), np.arange(10)])
def test_a_list_of_numbers_is_a_vector_and_the_search_is_in_doubles(x0):
    opt = jaxes.ESOpt(x0, 1.0, 10, maximize=False, strategy="cma_es")
    for _ in range(300):
        candidates = opt.ask()
        assert candidates.shape == (10, 10) and candidates.dtype == np.float64
        opt.tell([cost(x) for x in candidates])
    assert opt.best_value < 1e-16
    np.testing.assert_allclose(opt.mean, 1, atol=1e-8)
    assert opt.best.dtype == opt.mean.dtype == np.float64 and jnp.zeros(1).dtype == jnp.float32


def test_values_are_ranked_as_doubles():
    """At 1e8 the values of float32 are 8 apart, at 1e39 they are infinite, and programs read 1e-320 as zero."""
    for shift, factor in ((1e8, 1.0), (0.0, 1e39), (0.0, 1e-46), (0.0, 1e-320)):
        opt = jaxes.ESOpt([0.0, 0.0], 1.0, 8, maximize=False, strategy=jaxes.cma_es)
        for _ in range(60):
            opt.tell([shift + factor * cost(x) for x in opt.ask()])
        assert cost(opt.mean) < (1e-6 if factor > 1e-300 else 1e-2)  # doubles end at 5e-324


def test_trees():
    opt = jaxes.ESOpt({"a": [0, 0], "b": 0.0}, 0.5, 8, maximize=False, strategy=jaxes.snes)
    for _ in range(80):
        many = opt.ask()
        assert many["a"].shape == (8, 2) and many["b"].shape == (8,)
        opt.tell(np.sum((many["a"] - 1) ** 2, axis=1) + (many["b"] - 2) ** 2)
    np.testing.assert_allclose(opt.mean["a"], 1, atol=1e-2)
    np.testing.assert_allclose(opt.best["b"], 2, atol=1e-1)


GOOD = [
    [1, 2, 3, 4],
    (1.0, np.float32(2), 3, True),
    np.arange(4),
    np.arange(4.0)[:, None],
    [np.array([1.0]), np.array(2.0), jnp.array([3.0]), 4],
    jnp.arange(4, dtype=jnp.bfloat16),
    [10**400 - 10**400, 2**70, 1, 0],
]


@pytest.mark.parametrize("values", GOOD, ids=repr)
def test_values_that_are_numbers(values):
    opt = jaxes.ESOpt(np.ones(2), 0.1, 4, maximize=True)
    opt.ask()
    opt.tell(values)
    assert opt.best_value == max(float(np.asarray(x).reshape(())) for x in values)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["1"] * 4, TypeError, "values must be 4 real numbers, one for each candidate.*number 0 is '1'"),
        ("1234", TypeError, "got '1234'"),
        ([1, None, 2, 3], TypeError, "number 1 is None; NaN marks a failure"),
        (None, TypeError, "got None"),
        ([1, 2j, 3, 4], TypeError, "complex128"),
        (np.array([1, None, 2, 3], object), TypeError, "got None"),
        ([1, (2, 3), 4, 5], TypeError, "number 1 is a tuple of 2"),
        ([1, 2, 3, np.ones(2)], TypeError, "values must be 4 real numbers"),
        (np.zeros(3), ValueError, r"4 real numbers, .*got the shape \(3,\)"),
        (np.zeros((2, 2)), ValueError, r"got the shape \(2, 2\)"),
        (1.0, ValueError, r"got the shape \(\)"),
        ({"a": 1}, TypeError, "got a dict of 1"),
    ],
    ids=repr,
)
def test_values_that_are_none(values, error, message):
    opt = jaxes.ESOpt(np.ones(2), 0.1, 4, maximize=True)
    opt.ask()
    with pytest.raises(error, match=message):
        opt.tell(values)
    opt.tell([1, 2, 3, 4])  # nothing is lost
    assert opt.best_value == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x0": None}, "x0 must hold real numbers, got None"),
        ({"x0": ["a"]}, r"x0\[0\] must hold real numbers, got 'a'"),
        ({"x0": [1j]}, "must hold real numbers"),
        ({"x0": [np.nan, 1.0]}, "x0 must hold finite numbers"),
        ({"x0": []}, "x0 must hold at least one number"),
        ({"sigma": [0.1, 0.2]}, r"sigma must be one for all, or one for each number of x0 \(3\), got a list of 2"),
        ({"sigma": [0.1, -0.2, 0.1]}, r"sigma must be above 0 and finite, got -0.2 for x0\[1\]"),
        ({"sigma": "0.1"}, "sigma must be a number, or one for each coordinate, got '0.1'"),
        ({"sigma": np.inf}, "sigma must be above 0 and finite, got inf"),
        ({"strategy": jaxes.cma_es(8)}, "strategy must be a factory.*got a Strategy"),
        ({"strategy": "cma"}, "unknown strategy 'cma'; did you mean"),
    ],
)
def test_settings_that_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jaxes.ESOpt(**{"x0": np.ones(3), "sigma": 0.1, "population_size": 4, "maximize": True, **given})


@pytest.mark.parametrize("between", [False, True])
def test_pickle(between):
    """A copy goes on as the original does, to the bit, also between ask and tell."""
    opt = jaxes.ESOpt(np.ones(3), 0.3, 8, maximize=False, strategy=jaxes.cma_es, c_m=0.9)
    for _ in range(5):
        opt.tell([cost(x) for x in opt.ask()])
    if between:
        opt.ask()
    copy = pickle.loads(pickle.dumps(opt))
    assert copy.mean.dtype == np.float64 and copy.best_value == opt.best_value
    for search in (opt, copy):
        for _ in range(5):
            candidates = search._asked if between and search._asked is not None else search.ask()
            search.tell([cost(x) for x in candidates])
    np.testing.assert_array_equal(copy.mean, opt.mean)


def test_candidates_may_be_changed_by_the_caller():
    opt = jaxes.ESOpt([1.0, 1.0], 0.3, 8, maximize=False, strategy="cma_es")
    candidates = opt.ask()
    values = np.sum(candidates**2, axis=1)
    candidates *= 0
    opt.tell(values)
    np.testing.assert_allclose(np.sum(opt.best**2), opt.best_value, rtol=1e-12)


def test_masked_values_have_failed():
    opt = jaxes.ESOpt([1.0, 1.0], 0.3, 8, maximize=False, strategy="cma_es")
    opt.ask()
    opt.tell(np.ma.masked_array(np.arange(8.0), mask=[True] + [False] * 7))
    assert int(opt.info.invalid) == 1 and opt.best_value == 1.0


def test_an_objective_may_change_its_argument_and_may_be_masked():
    def spoil(x):
        value = float(x @ x)
        x.fill(7.0)
        return value

    result = jaxes.minimize_function(spoil, np.ones(2), 0.3, budget=60, verbose=0)
    np.testing.assert_allclose(result.x @ result.x, result.fun)
    masked = lambda x: np.ma.masked_array([1.0, 2.0], mask=True).mean()
    assert np.isnan(jaxes.minimize_function(masked, np.ones(2), 0.3, target=1e-3, budget=60, verbose=0).fun)
