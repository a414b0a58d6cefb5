"""Gaussian search strategies against NumPy transcriptions of their papers, and what the papers promise of them."""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.noise import gaussian

N = 10
SIZE = 4 + int(3 * math.log(N))
KEY = jax.random.key(5)
START = np.linspace(0.5, 1.5, N)


class Case(NamedTuple):
    fields: dict[str, str]  # ours: the reference's; compared beside the mean
    sphere: int  # generations that are always enough to reach 1e-8 on the sphere
    rotated: int = 0  # and on the ellipsoid, for strategies that promise invariance
    make: Callable[..., Any] | None = None
    extra: int = 0  # normal numbers that a member draws beside its n
    units: int = SIZE  # that draw noise


CASES = {
    "xnes": Case({"sigma": "sigma", "shape": "B"}, 700, 1500),
    "sep_cma_es": Case({"sigma": "sigma", "variance": "C", "path_c": "p_c"}, 300),
    "ma_es": Case({"sigma": "sigma", "matrix": "M", "path_sigma": "s"}, 300, 1000),
}
every = pytest.mark.parametrize("name", CASES)
invariant = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rotated])


def made(name):
    return (CASES[name].make or getattr(jaxes, name))(SIZE, 0.5)


def reference(name, x0=START, **options):
    return importlib.import_module(f"references.{name}").Reference(x0, 0.5, SIZE, **options)


@functools.lru_cache
def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((N, N)))
    return q * np.sign(np.diag(r))


def ellipsoid(x, condition=1e6):
    return (condition ** (np.arange(N) / (N - 1)) * x**2).sum()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def start(name, strategy):
    """Our first state in f64, and what the reference needs to know of it."""
    state = strategy.init(KEY, jnp.asarray(START))
    return state, {"v0": np.asarray(state.v)} if hasattr(state, "v") else {}


@every
@pytest.mark.parametrize("function", ["ellipsoid", "rosenbrock"])
def test_step_by_step(name, function):
    """Forty generations with the same noise, in f64."""
    case, turn = CASES[name], rotation(1)
    f = {"ellipsoid": lambda x: ellipsoid(turn @ x, 1e3), "rosenbrock": rosenbrock}[function]
    with jax.enable_x64(True):
        strategy = made(name)
        state, known = start(name, strategy)
        theirs = reference(name, **known)
        ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
        like = jax.ShapeDtypeStruct((N + case.extra,), jnp.float64)
        draw = jax.jit(lambda key: gaussian().sample(key, jnp.arange(case.units), like))
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
        strategy = made(name)

        @jax.jit
        @functools.partial(jax.vmap, in_axes=(None, 0))
        @functools.partial(jax.vmap, in_axes=(0, None))
        def run(key, i):
            step = jaxes.generation(strategy, jaxes.problem(lambda x: -f(x, i)))
            _, infos = jax.lax.scan(step, (strategy.init(key, jnp.asarray(starts)[i]), ()), length=generations)
            return infos.best

        best = -np.asarray(run(jax.random.split(jax.random.key(2), seeds), jnp.arange(len(starts))))
    reached = best <= 1e-8
    return np.where(reached.any(-1), (reached.argmax(-1) + 1.0) * SIZE, np.inf)


def evaluations_of_reference(name, f, generations, seeds):
    counts = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        theirs = reference(name)
        reached = np.inf
        for t in range(generations):
            values = np.array([f(x) for x in theirs.ask(theirs.noise(rng))])
            if values.min() <= 1e-8:
                reached = (t + 1) * SIZE
                break
            theirs.tell(values)
        counts.append(reached)
    return np.array(counts)


@every
def test_sphere(name):
    """As many evaluations to 1e-8 as the reference needs with random numbers of its own."""
    sphere = lambda x, _=None: (x**2).sum()
    ours = np.median(evaluations(name, sphere, [START], CASES[name].sphere, 15))
    theirs = np.median(evaluations_of_reference(name, sphere, CASES[name].sphere, 9))
    print(f"{name}: ours {ours:.0f}, reference {theirs:.0f}")
    assert np.isfinite(ours) and theirs / 1.2 < ours < theirs * 1.2, (ours, theirs)


def turned(name, rotations, seeds):
    """Median evaluations on the ellipsoid of condition 1e6 as it is, and under each rotation."""
    turns = np.stack([np.eye(N), *[rotation(seed) for seed in rotations]])
    f = lambda x, i: ellipsoid(jnp.matmul(jnp.asarray(turns)[i], x, precision="highest"))
    starts = np.stack([turn.T @ START for turn in turns])
    return np.median(evaluations(name, f, starts, CASES[name].rotated, seeds), axis=1)


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
    for name in ("xnes", "ma_es"):
        with pytest.raises(ValueError, match=f"at most 10,000 numbers for {name}, got 20,000: .* 1\\.5 GiB"):
            getattr(jaxes, name)(SIZE).init(KEY, jnp.zeros(20_000))


@every
def test_ill_conditioned_in_f32(name):
    """On an ellipsoid far beyond what f32 resolves, and past the optimum: the state stays finite."""
    strategy = made(name)
    scale = 10.0 ** np.linspace(-7, 7, N).astype(np.float32)
    state = strategy.init(KEY, jnp.ones(N))
    state, _ = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum((scale * x) ** 2)), state, generations=1500)
    for leaf in jax.tree.leaves(state._replace(key=0)):
        assert np.isfinite(leaf).all()
