"""Mutation of genetic algorithms (`jaxes.strategies.parts.genetic`)."""

import jax.numpy as jnp
import numpy as np

from jaxes.strategies.parts import genetic


def test_step_sizes_stay_positive_and_finite():
    limits = jnp.finfo(jnp.float32)
    np.testing.assert_array_equal(genetic.within(jnp.array([0.0, 1.0, jnp.inf])), [limits.tiny, 1, limits.max])
