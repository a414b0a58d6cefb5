"""Perturbations that are correlated in time."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.noise.dense import gaussian
from jaxes.noise.kind import Noise, weighted_sum
from jaxes.support import checks, trees
from jaxes.support.memoized import memoized


@memoized
def colored(exponent: float = 2.0) -> Noise:
    """Normal numbers that are correlated along the first axis of every parameter, which is its time.

    They serve for sequences of actions, where white noise would cancel itself out (Pinneri et al. 2020,
    "Sample-efficient Cross-Entropy Method for Real-time Planning", section 3.1). Their power falls with the frequency f
    as `f ** -exponent`; frequency 0 has the power of the lowest frequency above it. Each number alone has variance 1.
    Time is a ring: the last step is as close to the first as to the one before it.

    Args:
        exponent: 0 for white noise, 1 for pink, 2 for red; iCEM's values lie between 0.25 and 4.

    Raises:
        ValueError: if the exponent is below 0, or, at the first draw, if a parameter is a scalar.

    >>> colored().sample(jax.random.key(0), jnp.arange(4), jnp.zeros((10, 2))).shape  # 10 steps of 2 numbers
    (4, 10, 2)
    """
    checks.real("exponent", exponent, "of 0 or more", lambda x: x >= 0)

    def ring(power: float, x: Any) -> jax.Array:
        """The covariance along the first axis of x, raised to `power`: float[size, size]."""
        size = x.shape[0]
        spectrum = np.maximum(np.abs(np.fft.fftfreq(size)), 1 / size) ** -float(exponent)
        row = np.fft.ifft((spectrum / spectrum.mean()) ** power).real
        return jnp.asarray(row[(np.arange(size)[:, None] - np.arange(size)) % size], x.dtype)

    def along_time(power: float, x: jax.Array) -> jax.Array:
        flat = x.reshape(x.shape[0], -1)
        return jnp.matmul(ring(power, x), flat, precision=lax.Precision.HIGHEST).reshape(x.shape)

    def sample(key, units, like):
        for path, x in jax.tree_util.tree_leaves_with_path(like):
            if not x.shape:
                raise ValueError(f"params{jax.tree_util.keystr(path)} must have an axis of time for colored noise")
        white = gaussian().sample(key, units, like)
        return jax.tree.map(jax.vmap(functools.partial(along_time, 0.5)), white)

    def combine(weights, z):
        return jax.tree.map(functools.partial(along_time, -1.0), weighted_sum(weights, z))

    return Noise(sample, trees.add_scaled, combine)
