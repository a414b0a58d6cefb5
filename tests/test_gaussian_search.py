"""Gaussian search strategies against NumPy transcriptions of their papers, and what the papers promise of them."""

import functools
import importlib
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import quick

import jaxes
from jaxes.noise import gaussian
from jaxes.strategies.parts import stretched

N = 10
SIZE = 4 + int(3 * math.log(N))
KEY = jax.random.key(5)
START = np.linspace(0.5, 1.5, N)


class Case(NamedTuple):
    fields: dict[str, str]  # ours: the reference's; compared beside the mean
    sphere: int  # generations that are always enough to reach 1e-8 on the sphere
    rotated: int = 0  # and on the ellipsoid of condition 1e6, for strategies that promise invariance
    size: int = SIZE
    options: Mapping[str, Any] = MappingProxyType({})  # of the factory and of the reference
    extra: int = 0  # normal numbers that a member draws beside its n
    pairs: bool = False  # of members that share their noise


CASES = {
    "xnes": Case({"sigma": "sigma", "shape": "B"}, 700, 1500),
    "sep_cma_es": Case({"sigma": "sigma", "variance": "C", "path_c": "p_c"}, 300),
    "ma_es": Case({"sigma": "sigma", "matrix": "M", "path_sigma": "s"}, 300, 1000),
    "lm_ma_es": Case({"sigma": "sigma", "directions": "M", "path_sigma": "p"}, 400, 20000),
    "rm_es": Case({"sigma": "sigma", "path": "p", "directions": "directions", "success": "s"}, 600, extra=2),
    "vd_cma_es": Case({"sigma": "sigma", "d": "D", "v": "v", "path_c": "p_c", "path_sigma": "p_s"}, 400),
    "cr_fm_nes": Case({"sigma": "sigma", "d": "D", "v": "v", "path_c": "p_c", "path_sigma": "p_s"}, 500, pairs=True),
    "iamalgam": Case({"sigma": "sigma", "multiplier": "c"}, 400, size=31),
    "iamalgam univariate": Case(
        {"sigma": "sigma", "multiplier": "c"}, 600, size=12, options={"covariance": "univariate"}
    ),
}
every = pytest.mark.parametrize("name", CASES)
invariant = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rotated])


@functools.lru_cache
def made(name):
    """(strategy, ask, tell), jitted and shared by all tests."""
    strategy = getattr(jaxes, name.split()[0])(CASES[name].size, 0.5, **CASES[name].options)
    return strategy, quick(strategy.ask), quick(strategy.tell)


def reference(name, x0=START, **options):
    module = importlib.import_module(f"references.{name.split()[0]}")
    return module.Reference(x0, 0.5, CASES[name].size, **options, **CASES[name].options)


@functools.lru_cache
def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((N, N)))
    return q * np.sign(np.diag(r))


def ellipsoid(x, condition=1e6):
    return (condition ** (np.arange(N) / (N - 1)) * x**2).sum()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@functools.lru_cache
def normals(size, n):
    """What draws a generation's noise in f64, from a key."""
    return quick(lambda key: gaussian().sample(key, jnp.arange(size), jax.ShapeDtypeStruct((n,), jnp.float64)))


def start(name, strategy):
    """Our first state in f64, and what the reference needs to know of it."""
    state = quick(lambda: strategy.init(KEY, jnp.asarray(START)))()
    return state, {"v0": np.asarray(state.v)} if hasattr(state, "v") else {}


@every
@pytest.mark.parametrize("function", ["ellipsoid", "rosenbrock"])
def test_step_by_step(name, function):
    """Forty generations with the same noise, in f64."""
    case, turn = CASES[name], rotation(1)
    f = {"ellipsoid": lambda x: ellipsoid(turn @ x, 1e3), "rosenbrock": rosenbrock}[function]
    with jax.enable_x64(True):
        strategy, ask, tell = made(name)
        state, known = start(name, strategy)
        theirs = reference(name, **known)
        draw = normals(case.size // (1 + case.pairs), N + case.extra)
        for t in range(40):
            candidates = theirs.ask(np.asarray(draw(jax.random.fold_in(KEY, t))))
            np.testing.assert_allclose(ask(state), candidates, rtol=1e-7, atol=1e-9)
            values = np.array([f(x) for x in candidates])
            theirs.tell(values)
            state, _ = tell(state, -values)
            np.testing.assert_allclose(state.mean, theirs.mean, rtol=1e-7, atol=1e-9)
        for ours, other in case.fields.items():
            np.testing.assert_allclose(getattr(state, ours), getattr(theirs, other), rtol=1e-6, atol=1e-9)


def evaluations(name, f, starts, generations, seeds, **given):
    """[len(starts), seeds]: evaluations until the best member is below 1e-8; f(x, i) with i the start's index."""
    with jax.enable_x64(True):
        strategy = made(name)[0]

        @quick
        @functools.partial(jax.vmap, in_axes=(None, 0))
        @functools.partial(jax.vmap, in_axes=(0, None))
        def run(key, i):
            step = jaxes.generation(strategy, jaxes.problem(lambda x: -f(x, i)))
            _, infos = jax.lax.scan(step, (strategy.init(key, jnp.asarray(starts)[i]), ()), length=generations)
            return infos.best

        best = -np.asarray(run(jax.random.split(jax.random.key(2), seeds), jnp.arange(len(starts))))
    reached = best <= 1e-8
    return np.where(reached.any(-1), (reached.argmax(-1) + 1.0) * CASES[name].size, np.inf)


def evaluations_of_reference(name, f, generations, seeds):
    counts = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        theirs = reference(name)
        reached = np.inf
        for t in range(generations):
            values = np.array([f(x) for x in theirs.ask(theirs.noise(rng))])
            if values.min() <= 1e-8:
                reached = (t + 1) * CASES[name].size
                break
            theirs.tell(values)
        counts.append(reached)
    return np.array(counts)


@pytest.mark.slow
@every
def test_sphere(name):
    """As many evaluations to 1e-8 as the reference needs with random numbers of its own."""
    sphere = lambda x, _=None: (x**2).sum()
    ours = np.median(evaluations(name, sphere, [START], CASES[name].sphere, 15))
    theirs = np.median(evaluations_of_reference(name, sphere, CASES[name].sphere, 7))
    print(f"{name}: ours {ours:.0f}, reference {theirs:.0f}")
    assert np.isfinite(ours) and theirs / 1.2 < ours < theirs * 1.2, (ours, theirs)


def turned(name, rotations, seeds):
    """Median evaluations on the ellipsoid as it is, and under each rotation."""
    turns = np.stack([np.eye(N), *[rotation(seed) for seed in rotations]])
    f = lambda x, i: ellipsoid(jnp.matmul(jnp.asarray(turns)[i], x, precision="highest"))
    starts = np.stack([turn.T @ START for turn in turns])
    return np.median(evaluations(name, f, starts, CASES[name].rotated, seeds), axis=1)


@pytest.mark.slow
@invariant
def test_rotations_change_nothing(name):
    axis, *others = turned(name, [1, 2], 9)
    print(f"{name}: axis-aligned {axis:.0f}, rotated {others}")
    assert np.isfinite(axis) and all(0.8 < other / axis < 1.25 for other in others), (axis, others)


@pytest.mark.slow
@invariant
def test_ten_rotations_change_nothing(name):
    axis, *others = turned(name, range(3, 13), 15)
    assert np.isfinite(axis) and 0.8 < np.median(others) / axis < 1.25, (axis, others)


def test_sizes():
    for name in ("xnes", "ma_es", "iamalgam"):
        with pytest.raises(ValueError, match=f"at most 10,000 numbers for {name}.*, got 20,000: .* 1\\.5 GiB"):
            getattr(jaxes, name)(SIZE).init(KEY, jnp.zeros(20_000))
    assert jaxes.iamalgam(SIZE, covariance="univariate").init(KEY, jnp.zeros(20_000)).factor.shape == (20_000,)


def test_bad_covariance():
    with pytest.raises(ValueError, match="covariance must be 'full' or 'univariate', got 'diagonal'"):
        jaxes.iamalgam(SIZE, covariance="diagonal")


def test_numbers_of_the_third_generation():
    """lm_ma_es has a second direction only then, and rm_es only then replaces a path before its time."""
    for name, number, value in (("lm_ma_es", "base_d", 3.0), ("rm_es", "gap", 0.5)):
        strategy, ask, tell = made(name)
        step = lambda state, ask=ask, tell=tell: tell(state, -(ask(state) ** 2).sum(1))[0]
        a, b = (strategy.init(KEY, jnp.ones(N), **given) for given in ({}, {number: value}))
        for _ in range(3):
            a, b = step(a), step(b)
        assert not np.array_equal(ask(a), ask(b))


def test_phases_of_cr_fm_nes():
    """The path's length decides which numbers have a say: moving, stagnating, converging."""
    strategy, ask, tell = made("cr_fm_nes")
    usual = strategy.init(KEY, jnp.ones(N))
    members = np.asarray(ask(usual))
    says = {}
    # At c_sigma = 0 the path stays as it is.
    for phase, length in (("move", 2.0), ("stag", 0.5), ("conv", 0.01)):
        state = usual._replace(path_sigma=np.full(N, length, np.float32), c_sigma=np.float32(0))
        for growing in (False, True):
            # Far members are the best, or the worst: the gradient of sigma is positive, or negative.
            order = ((members - 1) ** 2).sum(1) * (1 if growing else -1)
            plain = tell(state, order)[0]
            for number in ("eta_move", "eta_stag", "eta_conv", "c_1", "alpha"):
                other = tell(state._replace(**{number: np.float32(3) * np.asarray(getattr(state, number))}), order)[0]
                other = other._replace(**{number: getattr(plain, number)})
                pairs = zip(plain[1:], other[1:], strict=True)
                if any(not np.array_equal(a, b) for a, b in pairs):
                    says.setdefault(number, set()).add((phase, growing))
            if phase == "move" and not growing:
                assert float(plain.sigma) == float(state.sigma)  # it never shrinks while the search moves
    both = lambda phase: {(phase, False), (phase, True)}
    assert says == {
        "eta_move": {("move", True)},
        "eta_stag": both("stag"),
        "eta_conv": both("conv"),
        "c_1": both("move"),
        "alpha": both("move"),
    }
    assert np.isfinite(jax.tree.leaves(tell(usual._replace(alpha=np.float32(1e4)), -(members**2).sum(1))[0].mean)).all()


def test_multiplier_of_iamalgam():
    """It grows by 1 / eta_dec if improvements lie beyond theta_sdr deviations, and shrinks by eta_dec without any."""
    strategy, ask, tell = made("iamalgam")
    size = strategy.population_size
    state, _ = tell(strategy.init(KEY, jnp.zeros(N)), np.full(size, -1e6, np.float32))
    slope = np.asarray(ask(state))[:, 0]
    for theta, eta, want in ((0.0, 0.5, 2.0), (0.0, 0.8, 1.25), (100.0, 0.5, 1.0)):
        given = state._replace(theta_sdr=np.float32(theta), eta_dec=np.float32(eta))
        told, _ = tell(given, slope)
        np.testing.assert_allclose(told.multiplier, want, rtol=1e-6)
        again, _ = tell(told, np.full(size, -1e6, np.float32))
        np.testing.assert_allclose(again.multiplier, max(want * eta, 1), rtol=1e-6)
    worse = np.full(size, -1e7, np.float32)
    for t in range(25 + N + 2):
        state, _ = tell(state, worse)
        assert (float(state.multiplier) < 1) == (t >= 25 + N - 1)
    np.testing.assert_allclose(strategy.recommend(state), state.best, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "univariate"])
def test_covariance_of_iamalgam(covariance):
    """The whole matrix is the reference's, through growing and shrinking multipliers."""
    with jax.enable_x64(True):
        strategy = jaxes.iamalgam(12, 0.5, covariance=covariance)
        theirs = importlib.import_module("references.iamalgam").Reference(np.zeros(3), 0.5, 12, covariance)
        state = strategy.init(KEY, jnp.zeros(3))
        tell = quick(strategy.tell)
        draw = normals(12, 3)
        rng = np.random.default_rng(0)
        for t in range(80):
            x = theirs.ask(np.asarray(draw(jax.random.fold_in(KEY, t))))
            # A slope at first, and then a function that only gets worse.
            values = -x[:, 0] if t < 15 else t + rng.random(12)
            theirs.tell(values)
            state, _ = tell(state, -values)
            ours = np.asarray(state.sigma**2 * state.covariance)
            np.testing.assert_allclose(ours if covariance == "full" else np.diag(ours), theirs.Sigma, rtol=1e-6)
            np.testing.assert_allclose(state.multiplier, theirs.c, rtol=1e-9)
            np.testing.assert_allclose(state.sigma * state.shift, theirs.shift, rtol=1e-6, atol=1e-12)
    assert max(theirs.history) > 1.2 and min(theirs.history) < 0.5


def test_stretched_covariance():
    """The steps that vd_cma_es and cr_fm_nes draw have the covariance D (I + v v^T) D."""
    v, d = jnp.linspace(-1, 2, N), jnp.linspace(0.5, 3, N)
    root = np.asarray(stretched.stretch(jnp.eye(N), v) * d[None])
    want = np.diag(d) @ (np.eye(N) + np.outer(v, v)) @ np.diag(d)
    np.testing.assert_allclose(root.T @ root, want, rtol=1e-4, atol=1e-4)


def test_rank_one_es():
    """rm_es with a memory of one and of three, against the reference."""
    for memory in (1, 3):
        with jax.enable_x64(True):
            strategy = jaxes.rm_es(SIZE, 0.5, memory=memory, gap=4.0)
            theirs = importlib.import_module("references.rm_es").Reference(START, 0.5, SIZE, memory)
            theirs.T = 4
            state = strategy.init(KEY, jnp.asarray(START))
            tell = quick(strategy.tell)
            draw = normals(SIZE, N + memory)
            for t in range(30):
                x = theirs.ask(np.asarray(draw(jax.random.fold_in(KEY, t))))
                values = np.array([ellipsoid(row, 100.0) for row in x])
                theirs.tell(values)
                state, _ = tell(state, -values)
            np.testing.assert_allclose(state.directions, theirs.directions, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(state.sigma, theirs.sigma, rtol=1e-7)
            assert state.born.tolist() == theirs.t_hat


def test_memory():
    """Low-memory strategies hold m vectors of n, and nothing of the population's size."""
    n = 1000
    for name, most in (("lm_ma_es", 24 + 2), ("rm_es", 2 + 2), ("vd_cma_es", 5), ("cr_fm_nes", 5), ("sep_cma_es", 4)):
        state = getattr(jaxes, name)(200).init(KEY, jnp.zeros(n))
        assert sum(x.size for x in jax.tree.leaves(state)) < most * n + 200, name


@pytest.mark.parametrize("name", ["lm_ma_es", "rm_es"])
@pytest.mark.parametrize("memory", [0, 2.0, True])
def test_bad_memory(name, memory):
    with pytest.raises(ValueError, match="memory must be an int of 1 or more"):
        getattr(jaxes, name)(SIZE, memory=memory)


@every
def test_ill_conditioned_in_f32(name):
    """On an ellipsoid far beyond what f32 resolves, and past the optimum: the state stays finite."""
    strategy, ask, tell = made(name)
    scale = 10.0 ** np.linspace(-7, 7, N).astype(np.float32)
    state = quick(lambda: strategy.init(KEY, jnp.ones(N)))()
    for _ in range(1500):
        state, _ = tell(state, -((scale * np.asarray(ask(state))) ** 2).sum(1))
    for leaf in jax.tree.leaves(state._replace(key=0)):
        assert np.isfinite(leaf).all()
