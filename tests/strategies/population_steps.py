"""Strategies without a mean beside transcriptions of their papers: the same steps, and as fast to a target."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from programs import quick

import jaxes
from jaxes.noise import gaussian
from jaxes.strategies.parts import genetic
from jaxes.support import keys

DIMENSION = 5
START = np.linspace(0.5, 1.5, DIMENSION)
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))[0]
SCALES = np.logspace(0, 1, DIMENSION)
SEEDS = 8


def ellipsoid(x):
    """Of condition 10, rotated; lower is better."""
    return SCALES @ (ROTATION @ x) ** 2


def normals(state, ids):
    return gaussian().sample(keys.of_generation(state), ids, START)


def first_normals(state, ids):
    """Those of the first population; later generations draw none."""
    return gaussian().sample(keys.stream(state.key, keys.Stream.POPULATION), ids, START)


def genetic_noise(state, ids):
    return normals(state, ids), *genetic.choices(state, ids), ()


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    reference: Callable  # reference(x0, sigma, population_size)
    strategy: jaxes.Strategy
    start: float  # sigma
    noise: Any  # noise(state, ids) -> what the reference's `noise` gives
    generations: int
    target: float  # of the ellipsoid
    sigma: Any = None  # what of the reference is the state's sigma after a generation


class Run(NamedTuple):
    """Leaves [SEEDS, generations, ...]."""

    noise: Any
    members: Any
    values: Any
    recommended: Any
    sigma: Any


@functools.cache
def ours(case) -> Run:
    """All seeds at once, in f64: one program a strategy."""
    ids = jnp.arange(case.strategy.population_size, dtype=jnp.int32)

    def step(state, _):
        members = case.strategy.ask(state)
        values = jax.vmap(ellipsoid)(members)
        new, _ = case.strategy.tell(state, -values)
        return new, Run(case.noise(state, ids), members, values, case.strategy.recommend(new), new.sigma)

    def one(key):
        return jax.lax.scan(step, case.strategy.init(key, jnp.asarray(START)), length=case.generations)[1]

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(1), SEEDS)
        return jax.tree.map(np.asarray, quick(jax.vmap(one))(keys))


def reference(case):
    return case.reference(START, case.start, case.strategy.population_size)


def evaluations(values, target):
    """Until the first candidate is below the target, or inf."""
    reached = np.flatnonzero(np.ravel(values) < target)
    return reached[0] + 1 if reached.size else np.inf


def step_by_step(case):
    run, theirs = ours(case), reference(case)
    for t in range(40):
        noise, members, values, recommended, sigma = jax.tree.map(lambda x, t=t: x[0, t], run)
        np.testing.assert_allclose(members, theirs.ask(noise), rtol=1e-7, atol=1e-10)
        theirs.tell(values)
        np.testing.assert_allclose(recommended, theirs.mean, rtol=1e-7, atol=1e-10)
        if case.sigma is not None:
            np.testing.assert_allclose(sigma, case.sigma(theirs), rtol=1e-7)


def reaches_the_target(case):
    """As the reference does: median evaluations over seeds, each with random numbers of its own."""
    run = ours(case)
    mine = [evaluations(values, case.target) for values in run.values]
    rng, theirs = np.random.default_rng(7), []
    for _ in range(SEEDS):
        other, seen = reference(case), []
        for _ in range(case.generations):
            values = np.array([ellipsoid(x) for x in other.ask(other.noise(rng))])
            other.tell(values)
            seen.append(values)
        theirs.append(evaluations(seen, case.target))
    assert np.median(mine) < 1.5 * np.median(theirs) < np.inf
