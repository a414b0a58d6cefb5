"""Each criterion is met when it should be, and not before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes import termination
from jaxes.strategy import Deviations
from jaxes.termination import REASONS, Tolerances

SIZE, N = 6, 3
MEAN = jnp.ones(N)


def step(monitor, values, spread=1.0, deviations=None, tolerances=None, mean=MEAN):
    population = mean[None] + spread * jnp.asarray(np.random.default_rng(0).normal(size=(SIZE, N)), mean.dtype)
    if not hasattr(step, "watch"):
        step.watch = jax.jit(termination.watch)
    monitor, met = step.watch(
        monitor, tolerances or Tolerances(), deviations, population, mean, jnp.asarray(values, jnp.float32)
    )
    return monitor, {name for name, yes in zip(REASONS, np.asarray(met), strict=True) if yes}


def many(count, values, **options):
    monitor, met = termination.start(MEAN, SIZE), set()
    for t in range(count):
        monitor, met = step(monitor, values(t), **options)
    return met


def test_a_search_that_goes_on_meets_nothing():
    assert many(60, lambda t: np.arange(SIZE) + float(t)) == set()


def test_tolfun_and_tolfunhist():
    back = 10 + int(np.ceil(30 * N / SIZE))
    close = lambda t: 1e-13 * np.arange(SIZE)
    assert many(back - 1, close) == set()
    assert many(back, close) == {"tolfun", "tolfunhist"}
    same_best = lambda t: -np.arange(SIZE) - 1e-3 * t * (np.arange(SIZE) > 0)
    assert many(back, same_best) == {"tolfunhist"}


def test_tolx_and_no_effect():
    steady = lambda t: np.arange(SIZE) + float(t)
    assert many(2, steady, spread=1e-12, mean=jnp.zeros(N)) == {"tolx"}
    assert many(2, steady, spread=2e-7) == {"noeffectcoord"}  # a fifth of it vanishes beside 1 in float32


def test_flat_and_invalid():
    assert many(1, lambda t: np.zeros(SIZE)) == set()
    assert many(2, lambda t: np.zeros(SIZE)) == {"flat"}
    assert "invalid" not in many(5, lambda t: np.full(SIZE, np.nan))
    assert many(25, lambda t: np.full(SIZE, np.nan)) == {"invalid"}


def test_upsigma():
    monitor, _ = step(termination.start(MEAN, SIZE), np.arange(SIZE))
    assert step(monitor, np.arange(SIZE), spread=9e3)[1] == set()
    assert step(monitor, np.arange(SIZE), spread=2e4)[1] == {"upsigma"}
    assert step(monitor, np.arange(SIZE), spread=2e4, tolerances=Tolerances(growth=1e6))[1] == set()


def test_condition_and_axis():
    monitor, _ = step(termination.start(MEAN, SIZE), np.arange(SIZE))
    monitor = monitor._replace(told=jnp.int32(9))  # the axes are looked at in the tenth generation
    root = lambda matrix: Deviations(MEAN, jnp.float32(1), matrix)
    seen, met = step(monitor, np.arange(SIZE), deviations=root(jnp.diag(jnp.array([1.0, 1e-3, 2.0]))))
    assert met == set()
    np.testing.assert_allclose(seen.condition, 4e6, rtol=1e-3)
    np.testing.assert_allclose(jnp.abs(seen.shortest), [0, 1e-3, 0], atol=1e-6)
    assert "condition" in step(monitor, np.arange(SIZE), deviations=root(jnp.diag(jnp.array([1e-8, 1, 1]))))[1]
    assert step(monitor, np.arange(SIZE), deviations=root(1e-9 * jnp.eye(N)))[1] == {"noeffectaxis"}


def test_stagnation():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(400, SIZE))
    assert many(400, lambda t: noise[t] - 0.1 * t) == {"stagnation"}
    assert many(400, lambda t: noise[t] + 0.1 * t) == set()


@pytest.mark.parametrize("function", ["sphere", "ellipsoid"])
def test_a_search_in_float32_ends_and_stays_finite(function):
    scale = jnp.ones(4) if function == "sphere" else 10.0 ** (6 * jnp.arange(4) / 3)
    result = jaxes.minimize_function(
        lambda x: float(jnp.sum(scale * (jnp.asarray(x) - 1) ** 2)), np.zeros(4), 1.0, budget=20_000, verbose=0
    )
    assert result.stop not in ("budget", "") and result.fun < 1e-6
    assert np.isfinite(result.history["mean"]).all()


def test_the_search_distribution_counts_and_not_what_members_were_made_of_it():
    """Members that are all alike, as rounding makes them, of a search that goes on; and of one that has ended."""
    steady = lambda t: np.arange(SIZE) + float(t)
    wide = Deviations(jnp.full(N, 0.5), jnp.float32(0.5), mean=MEAN)
    assert many(3, steady, spread=0.0, deviations=wide) == set()
    narrow = Deviations(jnp.full(N, 1e-12), jnp.float32(1e-12), mean=jnp.zeros(N))
    assert many(3, steady, spread=1.0, deviations=narrow) == {"tolx"}
    lost = Deviations(jnp.full(N, 1e-8), jnp.float32(1e-8), mean=MEAN)
    assert many(3, steady, spread=1.0, deviations=lost, mean=jnp.zeros(N)) == {"noeffectcoord"}
