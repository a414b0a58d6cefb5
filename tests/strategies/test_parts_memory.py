"""How much the states of Gaussian search strategies hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_steps import KEY, SIZE, N
from programs import quick

import jaxes


def test_sizes():
    for name in ("xnes", "ma_es", "iamalgam"):
        with pytest.raises(ValueError, match=f"at most 10,000 numbers for {name}.*, got 20,000: .* 1\\.5 GiB"):
            getattr(jaxes, name)(SIZE).init(KEY, jnp.zeros(20_000))
    assert jaxes.iamalgam(SIZE, covariance="univariate").init(KEY, jnp.zeros(20_000)).factor.shape == (20_000,)


def test_memory():
    """Low-memory strategies hold m vectors of n, and nothing of the population's size."""
    n = 1000
    for name, most in (("lm_ma_es", 24 + 2), ("rm_es", 2 + 2), ("vd_cma_es", 5), ("cr_fm_nes", 5), ("sep_cma_es", 4)):
        state = getattr(jaxes, name)(200).init(KEY, jnp.zeros(n))
        assert sum(x.size for x in jax.tree.leaves(state)) < most * n + 200, name


def test_numbers_of_the_third_generation():
    """lm_ma_es has a second direction only then, and rm_es only then replaces a path before its time."""
    for name, number, value in (("lm_ma_es", "base_d", 3.0), ("rm_es", "gap", 0.5)):
        strategy = getattr(jaxes, name)(SIZE, 0.5)
        ask, tell = quick(strategy.ask), quick(strategy.tell)
        step = lambda state, ask=ask, tell=tell: tell(state, -(ask(state) ** 2).sum(1))[0]
        a, b = (strategy.init(KEY, jnp.ones(N), **given) for given in ({}, {number: value}))
        for _ in range(3):
            a, b = step(a), step(b)
        assert not np.array_equal(ask(a), ask(b))
