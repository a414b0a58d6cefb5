"""The search in NumPy is the one of `cma_es`, its wrappers and its criteria: the same numbers."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxes
from jaxes.search.arguments.bounds import box_of, sigmas, whole_of
from jaxes.search.arguments.settings import Settings
from jaxes.search.engines.compiled import CompiledEngine
from jaxes.search.engines.engine import engine_of
from jaxes.search.engines.plain import engine, place
from jaxes.search.engines.plain.engine import PlainEngine
from jaxes.search.engines.plain.noise import Normals
from jaxes.search.engines.plain.square_root import renewed_by_steps, square_root
from jaxes.strategies import cma_es
from jaxes.termination import Tolerances


def settings(x0, sigma=0.5, bounds=None, integer=None, seed=0, **options):
    one, units = sigmas(sigma, x0)
    tolerances = options.pop("tolerances", Tolerances())
    return Settings(cma_es, options, one, units, box_of(bounds, x0), whole_of(integer, x0), tolerances, seed)


def rosenbrock(x):
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def ellipsoid(x):
    return float(np.sum(10 ** np.linspace(0, 4, x.size) * (x - 2.3) ** 2))


def with_ties_and_failures(x):
    return np.nan if x[0] > 1.5 else np.inf if x[0] < -1.5 else float(np.round(ellipsoid(x), -1))


class JaxNormals:
    """The numbers that the compiled strategy draws."""

    def __init__(self, seed, run, size, n):
        with jax.enable_x64(True):
            strategy = cma_es(size, 1.0)
            state = strategy.init(jax.random.fold_in(jax.random.key(seed), run), jnp.zeros(n))
            self._z = jax.jit(lambda step: strategy.ask(state._replace(step=step)))

    def of(self, generation):
        with jax.enable_x64(True):
            return np.asarray(self._z(jnp.int32(generation)))


def test_normal_numbers():
    normals = Normals((2**63 - 1, 3), 8, 10)
    z = np.array([normals.of(i) for i in range(2000)])
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert np.unique(z).size == z.size  # nothing is drawn twice
    np.testing.assert_array_equal(Normals((2**63 - 1, 3), 8, 10).of(777), z[777])
    np.testing.assert_array_equal(normals.of(5), z[5])
    assert not np.isin(Normals((2**63 - 1, 4), 8, 10).of(777), z).any()
    assert len(pickle.dumps(normals)) < 1000


def test_roots():
    rng = np.random.default_rng(0)
    root, z = rng.normal(size=(30, 30)), rng.normal(size=(6, 30))
    weights = np.array([0.1, 0.2, 0.1, 0.05, -0.001, -0.002])
    for scale in (1e-3, 1e-2, 1.0, 0.0):  # with few terms of the series, many, too many, and nothing to do
        dense = 0.8 * np.eye(30) + scale * (z.T * weights) @ z
        half, moved = square_root(dense, z[0])
        np.testing.assert_allclose(half @ half, dense, atol=1e-12)
        np.testing.assert_allclose(half @ moved, z[0], atol=1e-12)
        thin = renewed_by_steps(root, 0.8, z.T, scale * weights)
        np.testing.assert_allclose(thin[0], root @ half, atol=1e-11)
        np.testing.assert_allclose(thin[1], moved, atol=1e-11)


CASES = {
    "rosenbrock": (rosenbrock, 4, 8, {}),
    "one number": (ellipsoid, 1, 4, {}),
    "many coordinates": (ellipsoid, 24, 10, {}),
    "few generations a root": (ellipsoid, 5, 8, {"interval": 3}),
    "no negative weights": (rosenbrock, 3, 7, {"active": False}),
    "other rates": (
        rosenbrock,
        3,
        7,
        {"c_m": 0.8, "c_1": 0.1, "c_mu": 0.2, "c_c": 0.3, "c_sigma": 0.4, "d_sigma": 2.0},
    ),
    "ties and failures": (with_ties_and_failures, 3, 9, {}),
    "bounds": (ellipsoid, 4, 8, {"bounds": ([-1, -np.inf, 0, -2], [1, 2, np.inf, 5])}),
    "whole numbers": (ellipsoid, 4, 10, {"sigma": 1.5, "integer": [1, 3]}),
    "whole numbers within bounds": (ellipsoid, 4, 10, {"sigma": 1.5, "integer": True, "bounds": (-3.4, 2.2)}),
    "units": (ellipsoid, 3, 8, {"sigma": [0.1, 1.0, 10.0]}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_members_and_criteria_as_the_compiled_strategy(name, monkeypatch):
    # What the search in NumPy does beside them for whole numbers.
    monkeypatch.setattr(place, "_PULL", 0.0)
    monkeypatch.setattr(place, "_FLIPPING", 0.0)
    monkeypatch.setattr(engine, "_PATIENCE", 1)
    monkeypatch.setattr(engine, "_ALL_WHOLE", 1)
    f, n, size, given = CASES[name]
    start = np.zeros(n)
    given = settings(start, **{"sigma": 0.5, **given})
    plain = PlainEngine(given, 2, size, given.sigma, start)
    compiled = CompiledEngine(given, 2, size, given.sigma, start)
    plain._search._normals = JaxNormals(given.seed, 2, size, n)
    for generation in range(60):
        members = plain.ask()
        # Errors of rounding grow with every generation.
        scale = plain.sigma * given.units.max() * 1e-13 * 1.25**generation + 1e-13
        np.testing.assert_allclose(members, compiled.ask(), rtol=0, atol=max(scale, 1e-15), err_msg=str(generation))
        values = np.array([f(x) for x in members])
        (met, row), (other_met, other) = plain.tell(values), compiled.tell(values)
        assert met == other_met, (generation, met, other_met)
        for what in row:
            if what != "deviation" or given.whole is None:  # compiled in the search's units of whole numbers
                np.testing.assert_allclose(row[what], other[what], rtol=1e-5, atol=1e-7, err_msg=what)
        for what, x, y in zip(plain.info._fields, plain.info, compiled.info, strict=True):
            if what != "grad_norm":
                np.testing.assert_allclose(x, y, rtol=1e-4, err_msg=what)
        if met:
            break


ENDS = {
    "tolfun": (ellipsoid, {}),
    "tolx": (ellipsoid, {"tolerances": Tolerances(x=1e-3)}),
    "tolfunhist": (lambda x: float(np.round(ellipsoid(x), 3)) + 1e-4 * np.sin(1e9 * x[0]) ** 2, {}),
    "flat": (lambda x: np.inf, {}),
    "invalid": (lambda x: np.nan, {}),
    "upsigma": (lambda x: -float(np.sum(x)), {"tolerances": Tolerances(growth=100.0)}),
    "condition": (ellipsoid, {"tolerances": Tolerances(condition=30.0)}),
    "stagnation": (lambda x: float(np.sin(1e6 * x.sum())), {}),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_is_that_of_the_compiled_criteria(name):
    f, given = ENDS[name]
    start = np.ones(2)
    given = settings(start, **given)
    engines = [kind(given, 0, 6, 0.5, start) for kind in (PlainEngine, CompiledEngine)]
    engines[0]._search._normals = JaxNormals(given.seed, 0, 6, 2)
    ends = []
    for generation in range(600):
        values = np.array([f(x) for x in engines[0].ask()])
        ends = [engine.tell(values)[0] for engine in engines]
        assert ends[0] == ends[1], generation
        if ends[0]:
            break
    assert name in ends[0] or (name == "tolfunhist" and ends[0])


INTEGERS = {  # the start, sigma, bounds, which are whole, the lowest value 0
    "ellipsoid, half of them whole": (lambda x: ellipsoid(x + 2.3), 20, 2.0, None, range(10)),
    "far from separable": (lambda x: float((x - 3) @ (x - 3) + 5 * (x - 3).sum() ** 2), 10, 20.0, None, True),
    "two values": (lambda x: float(np.sum(1 - x)), 20, 0.5, (0, 1), True),
    "leading ones": (lambda x: float(x.size - np.cumprod(x > 0.5).sum()), 8, 0.5, (0, 1), True),
    "wide": (
        lambda x: float(10 ** np.linspace(0, 3, 10) @ (x - np.arange(-20, 30, 5)) ** 2),
        10,
        20.0,
        (-50, 50),
        True,
    ),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_whole_numbers_are_found_by_every_seed(name):
    f, n, sigma, bounds, integer = INTEGERS[name]
    for seed in range(12):
        start = np.random.default_rng(seed).integers(-4, 5, n) if bounds is None else np.zeros(n)
        result = jaxes.minimize_function(
            f, start, sigma, bounds=bounds, integer=integer, target=1e-9, budget=30_000, seed=seed, verbose=0
        )
        assert result.stop == "target", (seed, result)


def test_which_search_runs_in_numpy():
    x = np.zeros(3)
    assert isinstance(engine_of(settings(x, c_m=0.5), 0, 8, 1.0, x), PlainEngine)
    assert isinstance(engine_of(settings(x, blocks=2), 0, 8, 1.0, x), CompiledEngine)
    assert isinstance(engine_of(settings(np.zeros(1001)), 0, 8, 1.0, np.zeros(1001)), CompiledEngine)
    with pytest.raises(ValueError, match="c_m must be"):
        engine_of(settings(x, c_m=-1.0), 0, 8, 1.0, x)
    with pytest.raises(ValueError, match="interval must be"):
        engine_of(settings(x, interval=0), 0, 8, 1.0, x)


@pytest.mark.parametrize("kind", [PlainEngine, CompiledEngine])
def test_a_state_goes_on_to_the_same_numbers(kind):
    start = {"a": np.zeros((2, 1)), "b": np.zeros(())}
    flat = lambda members: np.concatenate([members["a"].reshape(len(members["b"]), -1), members["b"][:, None]], axis=1)
    given = settings(start, bounds=(-1, {"a": 2.0, "b": 9.0}), integer={"a": False, "b": True})
    engine = kind(given, 0, 8, 0.5, start)
    step = lambda engine: engine.tell(np.array([ellipsoid(x) for x in flat(engine.ask())]))
    for _ in range(10):
        step(engine)
    other = kind(given, 0, 8, 0.5, start)
    other.restore({name: np.array(value) for name, value in engine.state().items()})
    for _ in range(10):
        step(engine), step(other)
    np.testing.assert_array_equal(flat(engine.ask()), flat(other.ask()))
    assert flat(engine.ask())[:, 2].tolist() == np.round(flat(engine.ask())[:, 2]).tolist()


SCRIPT = """
import sys
import numpy as np
import jaxes
from jaxes.search.engines import kept

compile_anew = kept._compiled
made = []
kept._compiled = lambda *args: made.append(1) or compile_anew(*args)
result = jaxes.minimize_function(
    lambda x: float(np.sum((x - 1) ** 2)), np.zeros(2), 0.5, strategy="snes", target=1e-2, budget=900, verbose=0
)
print(len(made), result.nfev, result.fun.hex())
"""


def test_compiled_programs_outlive_a_process(tmp_path):
    folder = tmp_path / "programs"

    def search(**variables):
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "JAXES_"))}
        environment = {**own, "JAXES_CACHE": str(folder), **variables}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    files = lambda: {path.name: path.stat().st_size for path in folder.glob("*.program")}
    made, *result = search()
    first = files()
    assert made == "2" and len(first) == 2
    made, *again = search()
    assert made == "0" and again == result and files() == first
    for name in first:
        (folder / name).write_bytes(b"no program")
    made, *again = search()
    assert made == "2" and again == result and files().keys() == first.keys() and min(files().values()) > 1000
    for variables in ({"JAXES_CACHE": "off"}, {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}):
        made, *again = search(**variables)
        assert made == "0" and again == result
    assert files().keys() == first.keys() and not Path("off").exists()
