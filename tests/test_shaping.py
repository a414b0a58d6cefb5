"""Ranks and weights against NumPy, SciPy and values by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxes import shaping
from jaxes.support import ranking

NAN, INF = np.nan, np.inf
RNG = np.random.default_rng(0)
PLAIN = RNG.normal(size=9).astype(np.float32)
TIES = np.array([3, 1, 3, 2, 1, 1, 5], np.float32)
BAD = np.array([NAN, 1, -INF, NAN, 2, INF, -INF, 0], np.float32)
every = pytest.mark.parametrize("make", [*shaping.SHAPINGS.values(), lambda: shaping.top(3)])


def ranks(fitness):
    """Mean ranks from 1 for the worst; NaN below -inf."""
    order = {v: i for i, v in enumerate(sorted({v for v in fitness.tolist() if v == v}), start=1)}
    return scipy.stats.rankdata([order[v] if v == v else 0 for v in fitness.tolist()])


@pytest.mark.parametrize("fitness", [PLAIN, TIES, BAD])
@pytest.mark.parametrize("make", [shaping.centered_rank, shaping.normalized_rank])
def test_ranks_against_scipy(make, fitness):
    expected = (ranks(fitness) - 1) / (len(fitness) - 1) - 0.5
    np.testing.assert_allclose(make()(jnp.asarray(fitness)), expected, atol=1e-7)


def test_ranks_by_hand():
    fitness = jnp.array([NAN, -INF, 2.0, 2.0, INF])
    assert shaping.centered_rank()(fitness).tolist() == [-0.5, -0.25, 0.125, 0.125, 0.5]
    assert shaping.centered_rank()(jnp.zeros(4)).tolist() == [0, 0, 0, 0]


def test_tied_ranks():
    first, last = ranking.tied_ranks(jnp.array([NAN, 1.0, 3.0, 1.0, NAN, -INF]))
    assert first.tolist() == [4, 1, 0, 1, 4, 3] and last.tolist() == [5, 2, 0, 2, 5, 3]
    first, last = ranking.tied_ranks(jnp.array([-0.0, 0.0]))
    assert first.tolist() == [0, 0] and last.tolist() == [1, 1]


def test_share():
    table = jnp.array([4.0, 2.0, 1.0, 1.0])
    assert ranking.share(table, jnp.array([1.0, 5.0, 5.0, 0.0])).tolist() == [1, 3, 3, 1]
    assert ranking.share(table, jnp.array([NAN, 1.0, NAN, NAN])).tolist() == pytest.approx([4 / 3, 4, 4 / 3, 4 / 3])


def test_recombination():
    """An invalid member has no positive weight, and the valid ones carry its part."""
    table = jnp.array([0.5, 0.3, 0.2, 0.0])
    assert ranking.recombination(table, jnp.array([1.0, NAN, NAN, NAN])).tolist() == pytest.approx([1, 0, 0, 0])
    weights = ranking.recombination(table, jnp.array([NAN, 2.0, 1.0, NAN]))
    np.testing.assert_allclose(weights, [0, 0.5 / 0.8, 0.3 / 0.8, 0], rtol=1e-6)
    signed = jnp.array([0.7, 0.3, -0.1, -0.3])
    np.testing.assert_allclose(
        ranking.recombination(signed, jnp.array([NAN, NAN, 1.0, 2.0])), [-0.2, -0.2, 0.3, 0.7], rtol=1e-6
    )
    assert ranking.recombination(table, jnp.full(4, NAN)).tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(ranking.recombination(signed, jnp.array([1.0, 2, 3, 4])), signed[::-1])


@pytest.mark.parametrize("n", [2, 5, 8, 33])
def test_nes_utilities(n):
    fitness = RNG.permutation(n).astype(np.float32)
    place = n - fitness  # 1 for the best
    raw = np.maximum(0, np.log(n / 2 + 1) - np.log(place))
    np.testing.assert_allclose(shaping.nes_utilities()(jnp.asarray(fitness)), raw / raw.sum() - 1 / n, atol=1e-6)


def test_top():
    assert shaping.top(2)(jnp.array([1.0, 4.0, 3.0, 2.0])).tolist() == [0, 0.5, 0.5, 0]
    np.testing.assert_allclose(shaping.top(2)(jnp.array([3.0, 4.0, 3.0, 3.0])), [1 / 6, 1 / 2, 1 / 6, 1 / 6], rtol=1e-6)
    assert shaping.top(3)(jnp.array([NAN, 4.0, NAN, NAN])).tolist() == [0, 1, 0, 0]
    for k in (0, -1, 1.5, True, 10**400):
        with pytest.raises(ValueError, match=r"k must be an int from 1 to 2147483647, got"):
            shaping.top(k)
    with pytest.raises(ValueError, match="k must be at most the population size 4, got 5"):
        shaping.top(5)(jnp.zeros(4))


def test_z_score():
    np.testing.assert_allclose(
        shaping.z_score()(jnp.asarray(PLAIN)), (PLAIN - PLAIN.mean()) / PLAIN.std(), rtol=1e-5, atol=1e-6
    )
    for scale in (1e-30, 1e30):
        got = shaping.z_score()(jnp.asarray(PLAIN) * jnp.float32(scale))
        np.testing.assert_allclose(got, (PLAIN - PLAIN.mean()) / PLAIN.std(), rtol=1e-5, atol=1e-6)
    assert shaping.z_score()(jnp.full(4, 7.0)).tolist() == [0, 0, 0, 0]


def test_values():
    """NaN and -inf read as the lowest, +inf as the highest finite value."""
    assert shaping.identity()(jnp.asarray(BAD)).tolist() == [0, 1, 0, 0, 2, 2, 0, 0]
    assert shaping.sign()(jnp.array([-3.0, 0.0, 2.0, INF, -INF])).tolist() == [-1, 0, 1, 1, -1]
    assert shaping.identity()(jnp.array([NAN, INF])).tolist() == [0, 0]
    np.testing.assert_allclose(
        shaping.centered_sign_rank()(jnp.array([-3.0, -1.0, 2.0, 9.0])), [-1 / 3, -1 / 3, 1 / 3, 1 / 3], atol=1e-6
    )


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_and_permutation(make, dtype):
    with jax.enable_x64(dtype == "float64"):
        shape = jax.jit(make())
        fitness = jnp.asarray(TIES, dtype)
        weights = shape(fitness)
        assert weights.dtype == fitness.dtype and weights.shape == fitness.shape
        order = np.array([4, 2, 6, 0, 1, 3, 5])
        np.testing.assert_allclose(shape(fitness[order]), weights[order], rtol=1e-5, atol=1e-7)
        assert bool(jnp.all(jnp.isfinite(shape(jnp.asarray(BAD, dtype)))))
        assert bool(jnp.all(jnp.isfinite(shape(jnp.full(5, jnp.nan, dtype)))))


def test_boltzmann():
    fitness = jnp.array([1.0, 3.0, jnp.nan, -jnp.inf, 2.0])
    weights = shaping.boltzmann(0.5)(fitness)
    raw = np.exp(np.array([1.0, 3.0, 2.0]) / 0.5)
    np.testing.assert_allclose(weights, [*(raw / raw.sum())[:2], 0, 0, (raw / raw.sum())[2]], rtol=1e-5)
    np.testing.assert_allclose(shaping.boltzmann(0.5)(1e4 + fitness), weights, rtol=1e-3)
    assert shaping.boltzmann()(jnp.array([jnp.inf, 1.0, jnp.inf])).tolist() == [0.5, 0, 0.5]
    assert shaping.boltzmann()(jnp.array([jnp.nan, jnp.nan])).tolist() == [0, 0]
    with pytest.raises(ValueError, match="temperature must be a number above 0, got 0"):
        shaping.boltzmann(0)
