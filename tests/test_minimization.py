"""One call from a function to its minimum."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.search.engines import compiled
from jaxes.search.running import table
from jaxes.termination import Tolerances
from jaxes.training import plots


def sphere(x):
    return float(np.sum(np.asarray(x, float) ** 2))


def rastrigin(x):
    x = np.asarray(x, float)
    return float(10 * x.size + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def test_reaches_the_target_and_counts_every_evaluation():
    calls = []
    result = jaxes.minimize_function(
        lambda x: calls.append(1) or sphere(x), np.ones(3), 0.5, target=1e-6, budget=2000, verbose=0
    )
    assert result.stop == "target" and result.fun <= 1e-6 and result.restarts == 0
    assert result.nfev == len(calls) < 700
    assert result.fun == sphere(result.x)
    history = result.history
    assert history["nfev"][-1] == result.nfev and history["fun"][-1] == result.fun
    assert history["mean"].shape == (len(history["nfev"]), 3)
    assert "target" in repr(result)


@pytest.mark.parametrize("x0", [[1, 1], (1.0, 1.0), np.ones(2), np.ones(2, np.float32), jnp.ones(2), np.ones(2, int)])
def test_doubles_whatever_the_default_is_and_the_same_answer_for_the_same_seed(x0):
    """The default stays as it is, and a function of jax.numpy sees it."""
    answers = []
    for x64 in (False, True):
        with jax.enable_x64(x64):

            def f(x, wanted=jnp.float64 if x64 else jnp.float32):
                assert x.dtype == np.float64 and jnp.zeros(1).dtype == wanted
                return sphere(x)

            answers.append(jaxes.minimize_function(f, x0, 0.5, target=1e-10, verbose=0, seed=4))
    first, second = answers
    assert first.x.dtype == first.mean.dtype == np.float64 and first.stop == "target"
    np.testing.assert_array_equal(first.x, second.x)
    assert first.nfev == second.nfev and sphere(first.x) == first.fun <= 1e-10


def test_far_from_the_origin_as_precise_as_doubles_are():
    far = lambda x: float(np.sum(10.0 ** (1.5 * np.arange(5)) * (x - 37.123456789) ** 2))
    result = jaxes.minimize_function(far, np.zeros(5), 1.0, verbose=0)
    assert result.fun < 1e-12 and far(result.x) == result.fun
    np.testing.assert_allclose(result.x, 37.123456789, rtol=1e-8)


def test_a_reached_target_is_reached():
    start, options = np.full(5, 0.8), {"population_size": 200, "seed": 2, "verbose": 0}
    result = jaxes.minimize_function(rastrigin, start, 1.0, target=1e-6, **options)
    assert result.stop == "target" and rastrigin(result.x) == result.fun <= 1e-6


@pytest.mark.parametrize(("shift", "factor"), [(1e8, 1.0), (2.1e6, 1.0), (-3e9, 1.0), (0.0, 1e39), (0.0, 1e-46)])
def test_values_are_ranked_as_doubles(shift, factor):
    """Their differences are lost in float32, where they are large, infinite or zero."""
    f = lambda x: shift + factor * sphere(np.asarray(x) - 1)
    result = jaxes.minimize_function(
        f, np.zeros(3), 1.0, budget=700, verbose=0, tolerances=Tolerances(fun=0, fun_history=0)
    )
    assert sphere(result.x - 1) < 1e-6


@pytest.mark.parametrize("one", [lambda v: np.array([v]), lambda v: jnp.float32(v), np.float64, lambda v: np.array(v)])
def test_an_array_of_one_number_is_a_number(one):
    result = jaxes.minimize_function(lambda x: one(sphere(x)), [1.0, 1.0], 0.5, target=1e-4, verbose=0)
    assert result.stop == "target" and isinstance(result.fun, float)
    many = lambda rows: [one(sphere(row)) for row in rows]
    other = jaxes.minimize_function(many, [1.0, 1.0], 0.5, target=1e-4, verbose=0, vectorized=True)
    assert other.stop == "target"


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (None, r"f must return one real number, got None \(no return\?\)"),
        ((1.0, {}), "got a tuple of 2"),
        ("1", "got '1'"),
        (1j, "got 1j"),
        (np.ones(2), r"got an array of shape \(2,\); with vectorized=True"),
        ({"loss": 1.0}, "got a dict of 1"),
    ],
    ids=repr,
)
def test_what_an_objective_may_not_return(got, message):
    with pytest.raises(TypeError, match=message):
        jaxes.minimize_function(lambda x: got, [0.0, 0.0], 1.0, verbose=0)
    with pytest.raises((TypeError, ValueError), match="what f returns with vectorized=True must be 6 real numbers"):
        jaxes.minimize_function(lambda x: got, [0.0, 0.0], 1.0, verbose=0, vectorized=True)


def test_an_interrupted_search_gives_what_it_has_found(tmp_path):
    """Also what it has found in the generation that was not finished."""
    calls = []

    def f(x):
        calls.append(sphere(x) if len(calls) != 99 else -1.0)  # the best is the last
        if len(calls) > 100:
            raise KeyboardInterrupt
        return calls[-1]

    result = jaxes.minimize_function(f, [1.0, 1.0, 1.0], 0.5, verbose=0, out=tmp_path)
    assert result.stop == "interrupted" and result.nfev == 100 and result.fun == -1.0
    assert result.mean.shape == (3,) and len(result.history["nfev"]) == 14
    assert json.loads((tmp_path / "history.json").read_text())["stop"] == "interrupted"
    with pytest.raises(KeyboardInterrupt):
        jaxes.minimize_function(lambda x: f(x), [1.0, 1.0, 1.0], 0.5, verbose=0)


def test_bounds_are_lists_numbers_or_trees():
    for low, high in (([0.5, -9, 0.25], 4), ((0.5, -9, 0.25), [4.0, 4.0, 4.0]), (np.array([0.5, -9, 0.25]), np.inf)):
        result = jaxes.minimize_function(sphere, [1, 1, 1], 0.5, bounds=(low, high), budget=900, verbose=0)
        np.testing.assert_allclose(result.x, [0.5, 0, 0.25], atol=1e-5)
    with pytest.raises(ValueError, match=r"bounds' low side must be one for all, or one for each number of x0 \(3\)"):
        jaxes.minimize_function(sphere, [1, 1, 1], 0.5, bounds=([0, 0], None), verbose=0)
    with pytest.raises(TypeError, match="bounds' low side must hold numbers, got 'a'"):
        jaxes.minimize_function(sphere, [1, 1, 1], 0.5, bounds=("a", 1), verbose=0)


def test_a_function_of_jax_numpy():
    """It gets doubles, computes in the user's precision, and its values are told as doubles."""
    one = jaxes.minimize_function(lambda x: jnp.sum(x**2), [1.0, 1.0], 0.5, target=1e-6, verbose=0)
    rows = jax.jit(lambda rows: jnp.sum(rows**2, axis=1))
    many = jaxes.minimize_function(rows, [1.0, 1.0], 0.5, target=1e-6, verbose=0, vectorized=True)
    assert one.stop == many.stop == "target" and sphere(many.x) < 1.001e-6


def test_a_single_number():
    result = jaxes.minimize_function(lambda x: (x - 3) ** 2, 0.0, 1.0, target=1e-8, verbose=0)
    assert result.stop == "target" and abs(result.x - 3) <= 1e-4


@pytest.mark.parametrize("options", [{"tolerances": {"fun": 1}}, {"callback": 1}, {"strategy": jaxes.cma_es(8)}])
def test_kinds_of_settings(options):
    with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):
        jaxes.minimize_function(sphere, [1.0, 1.0], 0.5, verbose=0, **options)


def test_strategies_by_name_and_new_sigmas_without_new_programs():
    result = jaxes.minimize_function(sphere, [1.0, 1.0], 0.5, strategy="snes", target=1e-4, verbose=0)
    assert result.stop == "target"
    before = compiled._programs.cache_info().misses
    for sigma in (0.4, 0.3):
        jaxes.minimize_function(sphere, [1.0, 1.0], sigma, strategy="snes", target=1e-4, verbose=0)
    assert compiled._programs.cache_info().misses == before


def test_a_table_is_printed_of_what_takes_long(monkeypatch, capsys):
    search = lambda verbose: jaxes.minimize_function(
        lambda x: 7 + sphere(x), [1.0, 1.0], 0.5, budget=60, verbose=verbose
    )
    search(1)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(table.Table, "PATIENCE", 0.0)
    search(0)
    assert capsys.readouterr().out == ""
    for verbose in (1, 2):
        result = search(verbose)
        header, *lines, last, end = capsys.readouterr().out.splitlines()
        assert header.split() == ["nfev", "lowest", "value", "axis", "ratio", "sigma", "deviations", "time"]
        assert last.split()[:2] == ["60", f"{result.fun:.6e}"] and len(last) == len(header)
        assert end == result.message
        assert [line.split()[0] for line in lines][: 3 if verbose == 2 else 1] == ["6", "12", "18"][
            : 3 if verbose == 2 else 1
        ]


def test_vectorized_gives_the_same():
    many = lambda rows: np.array([sphere(row) for row in rows])
    options = {"budget": 140, "verbose": 0}
    a = jaxes.minimize_function(sphere, np.ones(3), 0.5, **options)
    b = jaxes.minimize_function(many, np.ones(3), 0.5, vectorized=True, **options)
    assert a.nfev == b.nfev == 140 and a.fun == b.fun and a.stop == b.stop == "budget"


def test_a_run_without_budget_ends_by_itself():
    result = jaxes.minimize_function(sphere, np.ones(2), 0.5, verbose=0)
    assert result.stop and result.stop not in ("target", "budget")
    assert result.fun < 1e-8


@pytest.mark.parametrize("restarts", ["ipop", "bipop", 6])
def test_restarts(restarts):
    result = jaxes.minimize_function(
        rastrigin, lambda rng: rng.uniform(-3, 3, 2), 1.0, target=1e-4, budget=12_000, restarts=restarts, verbose=0
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
        bounds=({"a": 1.0, "b": -1.0}, None),
        strategy=jaxes.snes,
        population_size=10,
        callback=lambda row: rows.append(row) or len(rows) == 40,
        verbose=0,
    )
    assert result.stop == "callback" and len(rows) == 40
    assert np.all(result.x["a"] >= 1) and result.fun < 2.05


def test_failed_evaluations_cost_little():
    rng = np.random.default_rng(0)
    broken = lambda x: np.nan if rng.random() < 0.3 else sphere(x)
    result = jaxes.minimize_function(broken, np.ones(3), 0.5, target=1e-5, budget=3000, verbose=0)
    assert result.stop == "target" and np.isfinite(result.history["mean"]).all()


def test_history_is_kept_and_drawn(tmp_path):
    jaxes.minimize_function(rastrigin, np.ones(2), 1.0, budget=700, restarts="ipop", out=tmp_path / "search", verbose=0)
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
        ({"bounds": (2.0, None)}, r"x0 must lie within the bounds, got 1 for x0\[0\], whose bounds are 2 and inf"),
        ({"bounds": (1.0, -1.0)}, r"bounds must have low below high, got 1 and -1 for x0\[0\]"),
        ({"target": np.nan}, "target must be a number"),
        ({"target": "0"}, "target must be a number, got '0'"),
        ({"budget": "100"}, "budget must be a whole number"),
        ({"budget": np.inf}, "budget must be a whole number"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        jaxes.minimize_function(sphere, np.ones(3), 0.5, verbose=0, **options)


def test_negative_sigma_and_too_many_parameters():
    with pytest.raises(ValueError, match="sigma must be above 0 and finite, got -1"):
        jaxes.minimize_function(sphere, np.ones(3), -1.0, verbose=0)
    with pytest.raises(ValueError, match="at most 10,000 numbers for cma_es, got 20,000"):
        jaxes.minimize_function(sphere, np.ones(20_000), 1.0, verbose=0)


@pytest.mark.parametrize(
    ("options", "search", "loop"),
    [
        ({"lb": [-1] * 3}, r"lb is no argument here: use bounds=\(low, high\)", r"use bounds=\(low, high\)"),
        ({"maxiter": 5}, r"maxiter is no argument here: use budget=", "a loop of as many generations"),
        ({"maxfevals": 5}, r"maxfevals is no argument here: use budget=", "a loop of as many generations"),
        ({"integrality": [1, 1, 1]}, "integrality is no argument here: use integer=", "use integer="),
        ({"popsize": 8}, r"popsize is no argument here: use population_size=", "use population_size="),
        ({"random_state": 0}, r"random_state is no argument here: use seed=", "use seed="),
    ],
)
def test_names_of_other_libraries_are_answered_with_ours(options, search, loop):
    with pytest.raises(TypeError, match=search):
        jaxes.minimize_function(lambda x: 0.0, np.ones(3), 0.5, budget=20, verbose=0, **options)
    with pytest.raises(TypeError, match=loop):
        jaxes.ESOpt(np.ones(3), 0.5, 8, maximize=False, **options)


def test_a_factory_may_have_an_argument_of_such_a_name():
    def factory(size, sigma, *, lb):
        return jaxes.wrappers.bounded(jaxes.cma_es(size, sigma), lb)

    result = jaxes.minimize_function(
        lambda x: float(np.sum(x)), np.zeros(2), 0.5, budget=300, verbose=0, strategy=factory, lb=-1.0
    )
    np.testing.assert_allclose(result.x, -1, atol=0.01)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None, 2**63])
def test_seeds_are_whole_numbers_of_0_or_more(seed):
    with pytest.raises(ValueError, match=r"seed must be an int from 0 to .*, got "):
        jaxes.minimize_function(lambda x: 0.0, np.ones(3), 0.5, budget=20, verbose=0, seed=seed)
    with pytest.raises(ValueError, match=r"seed must be an int from 0 to .*, got "):
        jaxes.ESOpt(np.ones(3), 0.5, 8, maximize=False, seed=seed)


def test_a_seed_may_be_large_and_of_numpy():
    ask = lambda seed: jaxes.ESOpt(np.ones(3), 0.5, 8, maximize=False, seed=seed).ask()
    np.testing.assert_array_equal(ask(np.int64(2**40)), ask(2**40))
    assert not np.array_equal(ask(2**40), ask(2**41))
