"""Gaussian search strategies beside NumPy transcriptions of their papers, and what all of them promise."""

import dataclasses
import functools
import importlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import quick

import jaxes
from jaxes.noise import gaussian

N = 10
SIZE = 4 + int(3 * math.log(N))
KEY = jax.random.key(5)
START = np.linspace(0.5, 1.5, N)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    name: str
    fields: dict[str, str]  # ours: the reference's; compared beside the mean
    sphere: int  # generations that are always enough to reach 1e-8 on the sphere
    rotated: int = 0  # and on the ellipsoid of condition 1e6, for strategies that promise invariance
    size: int = SIZE
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the factory and of the reference
    extra: int = 0  # normal numbers that a member draws beside its n
    pairs: bool = False  # of members that share their noise


@functools.lru_cache
def made(case):
    """(strategy, ask, tell), jitted and shared by all tests."""
    strategy = getattr(jaxes, case.name)(case.size, 0.5, **case.options)
    return strategy, quick(strategy.ask), quick(strategy.tell)


def reference(case, x0=START, **options):
    module = importlib.import_module(f"references.{case.name}")
    return module.Reference(x0, 0.5, case.size, **options, **case.options)


@functools.lru_cache
def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((N, N)))
    return q * np.sign(np.diag(r))


def ellipsoid(x, condition=1e6):
    return (condition ** (np.arange(N) / (N - 1)) * x**2).sum()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


FUNCTIONS = {"ellipsoid": lambda x: ellipsoid(rotation(1) @ x, 1e3), "rosenbrock": rosenbrock}
functions = pytest.mark.parametrize("function", FUNCTIONS)


@functools.lru_cache
def normals(size, n):
    """What draws a generation's noise in f64, from a key."""
    return quick(lambda key: gaussian().sample(key, jnp.arange(size), jax.ShapeDtypeStruct((n,), jnp.float64)))


def start(strategy):
    """Our first state in f64, and what the reference needs to know of it."""
    state = quick(lambda: strategy.init(KEY, jnp.asarray(START)))()
    return state, {"v0": np.asarray(state.v)} if hasattr(state, "v") else {}


def step_by_step(case, function):
    """Forty generations with the same noise, in f64."""
    f = FUNCTIONS[function]
    with jax.enable_x64(True):
        strategy, ask, tell = made(case)
        state, known = start(strategy)
        theirs = reference(case, **known)
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


def evaluations(case, f, starts, generations, seeds):
    """[len(starts), seeds]: evaluations until the best member is below 1e-8; f(x, i) with i the start's index."""
    with jax.enable_x64(True):
        strategy = made(case)[0]

        @quick
        @functools.partial(jax.vmap, in_axes=(None, 0))
        @functools.partial(jax.vmap, in_axes=(0, None))
        def run(key, i):
            step = jaxes.generation(strategy, jaxes.problem(lambda x: -f(x, i)))
            _, infos = jax.lax.scan(step, (strategy.init(key, jnp.asarray(starts)[i]), ()), length=generations)
            return infos.best

        best = -np.asarray(run(jax.random.split(jax.random.key(2), seeds), jnp.arange(len(starts))))
    reached = best <= 1e-8
    return np.where(reached.any(-1), (reached.argmax(-1) + 1.0) * case.size, np.inf)


def evaluations_of_reference(case, f, generations, seeds):
    counts = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        theirs = reference(case)
        reached = np.inf
        for t in range(generations):
            values = np.array([f(x) for x in theirs.ask(theirs.noise(rng))])
            if values.min() <= 1e-8:
                reached = (t + 1) * case.size
                break
            theirs.tell(values)
        counts.append(reached)
    return np.array(counts)


def reaches_the_optimum(case):
    """Of the sphere, with as many evaluations to 1e-8 as the reference needs with random numbers of its own."""
    sphere = lambda x, _=None: (x**2).sum()
    ours = np.median(evaluations(case, sphere, [START], case.sphere, 15))
    theirs = np.median(evaluations_of_reference(case, sphere, case.sphere, 7))
    print(f"{case.name}: ours {ours:.0f}, reference {theirs:.0f}")
    assert np.isfinite(ours) and theirs / 1.2 < ours < theirs * 1.2, (ours, theirs)


def turned(case, rotations, seeds):
    """Median evaluations on the ellipsoid as it is, and under each rotation."""
    turns = np.stack([np.eye(N), *[rotation(seed) for seed in rotations]])
    f = lambda x, i: ellipsoid(jnp.matmul(jnp.asarray(turns)[i], x, precision="highest"))
    starts = np.stack([turn.T @ START for turn in turns])
    return np.median(evaluations(case, f, starts, case.rotated, seeds), axis=1)


def two_rotations_change_nothing(case):
    axis, *others = turned(case, [1, 2], 9)
    print(f"{case.name}: axis-aligned {axis:.0f}, rotated {others}")
    assert np.isfinite(axis) and all(0.8 < other / axis < 1.25 for other in others), (axis, others)


def ten_rotations_change_nothing(case):
    axis, *others = turned(case, range(3, 13), 15)
    assert np.isfinite(axis) and 0.8 < np.median(others) / axis < 1.25, (axis, others)


def stays_finite(case):
    """On an ellipsoid far beyond what f32 resolves, and past the optimum."""
    strategy, ask, tell = made(case)
    scale = 10.0 ** np.linspace(-7, 7, N).astype(np.float32)
    state = quick(lambda: strategy.init(KEY, jnp.ones(N)))()
    for _ in range(1500):
        state, _ = tell(state, -((scale * np.asarray(ask(state))) ** 2).sum(1))
    for leaf in jax.tree.leaves(state._replace(key=0)):
        assert np.isfinite(leaf).all()
