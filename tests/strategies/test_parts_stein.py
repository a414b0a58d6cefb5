"""Particles that repel each other (`jaxes.strategies.parts.stein`), of sv_open_es and sv_cma_es."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gradient_steps import KEY, identity

import jaxes


def mixture(x):
    """Log-density of two normal peaks at -2 and 2 in the first coordinate."""
    peaks = jnp.zeros((2, x.size)).at[:, 0].set(jnp.array([-2.0, 2.0]))
    return jax.scipy.special.logsumexp(-0.5 * jnp.sum((x[None] - peaks) ** 2, axis=1))


@pytest.mark.slow
def test_both_peaks_are_held():
    """Of two equal peaks each has particles."""
    strategies = (
        jaxes.sv_open_es(8 * 16, 0.2, particles=8, spread=1.0, tx=optax.sgd(0.3), shaping=identity()),
        jaxes.sv_cma_es(8 * 6, 0.5, particles=8, spread=1.0),
    )
    for strategy in strategies:
        state, _ = jaxes.run(strategy, mixture, strategy.init(KEY, jnp.zeros(2)), generations=50)
        first = np.asarray(state.mean[:, 0])
        assert np.any(first > 1) and np.any(first < -1), first
        assert abs(abs(float(strategy.recommend(state)[0])) - 2) < 1.2


def test_bad_input():
    with pytest.raises(ValueError, match="particles must be an int of 2 or more, got 1"):
        jaxes.sv_open_es(8, particles=1)
    with pytest.raises(ValueError, match=r"divisible by 2 \* particles = 6 \(whole antithetic pairs\), got 8"):
        jaxes.sv_open_es(8, particles=3)
    with pytest.raises(ValueError, match="divisible by particles = 3, with at least two members each, got 8"):
        jaxes.sv_cma_es(8, particles=3)
    with pytest.raises(TypeError, match="unknown number 'nonsense'"):
        jaxes.sv_cma_es(8).init(KEY, jnp.zeros(2), nonsense=1.0)
