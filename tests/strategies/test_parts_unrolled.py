"""Problems that unroll piece by piece, and that pes and nres are unbiased on them where truncation is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_steps import KEY, SGD, assert_unbiased, identity
from programs import quick
from unrolled_steps import balancing, balancing_gradient, totals

import jaxes


def test_truncation_is_biased_and_these_are_not():
    """The toy problem of the PES paper: a plain evolution strategy on pieces has even the sign wrong."""
    unrolls = 12
    exact = balancing_gradient(0.4, unrolls)
    problem, options = balancing(8, unrolls), {"tx": SGD}
    plain = totals(jaxes.open_es(8, 0.1, shaping=identity(), **options), problem, unrolls)
    assert np.sign(plain.mean()) == -np.sign(exact)
    assert abs(plain.mean() - exact) > 20 * plain.std() / np.sqrt(len(plain))
    persistent = totals(jaxes.pes(8, 0.1, unrolls=unrolls, **options), problem, unrolls)
    reused = totals(jaxes.nres(8, 0.1, unrolls=unrolls, **options), problem, unrolls)
    for found in (persistent, reused):
        assert np.sign(found.mean()) == np.sign(exact)
        assert_unbiased(found, exact)
    # The paper of NRES: reusing the noise takes variance away.
    assert reused.std() < persistent.std()


def test_seeds():
    """Who shares a key: start gives it away as the inner state."""
    start = lambda key: jax.random.uniform(key)
    unroll = lambda x, member, key: (x, jax.random.uniform(key))
    seen = {}
    for seeds in ("pair", "generation", "independent"):
        problem = jaxes.unrolled(start, unroll, population_size=6, unrolls=2, seeds=seeds)
        evaluate = lambda p=problem: p.evaluate(p.init(KEY), KEY, lambda: jnp.zeros(6), jnp.arange(6))
        fitness, _, inner = quick(evaluate)()
        seen[seeds] = (len(set(fitness.tolist())), len(set(inner.tolist())))
    assert seen == {"pair": (3, 3), "generation": (1, 1), "independent": (6, 6)}


def test_bad_input():
    for make in (jaxes.pes, jaxes.nres):
        with pytest.raises(ValueError, match="unrolls must be an int of 1 or more, got 0"):
            make(8, unrolls=0)
    with pytest.raises(ValueError, match=r"unrolls must be an int of 1 or more, got 2\.5"):
        balancing(8, 2.5)
    with pytest.raises(ValueError, match="seeds must be 'pair', 'generation' or 'independent', got 'all'"):
        balancing(8, 2, seeds="all")
    strategy, problem = jaxes.pes(8), balancing(6, 2)
    carry = strategy.init(KEY, jnp.float32(0)), problem.init(KEY)
    with pytest.raises(ValueError, match="population_size of the problem must be the strategy's 8, got 6"):
        jax.eval_shape(jaxes.generation(strategy, problem), carry)
    rowless = problem._replace(rows=False)
    with pytest.raises(ValueError, match="must return fitness and sums where rows=False, got 3 values"):
        jax.eval_shape(jaxes.generation(strategy, rowless), carry)
