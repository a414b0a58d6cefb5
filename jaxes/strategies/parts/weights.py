"""What an invalid member weighs, and how strongly an antithetic pair pulls."""

import jax
import jax.numpy as jnp


def lenient(weights: jax.Array, fitness: jax.Array) -> jax.Array:
    """Weights in which an invalid member is not the worst but nearly an average one, if few members are invalid.

    Beside a partner that failed by accident any direction looks good, if failing is the worst there is; but where half
    of space is invalid, that is what to learn. So the weight goes from the valid members' mean to the shaping's weight
    as the share of invalid members goes from 0 to 1.

    Args:
        weights: float[population_size], from the shaping.
        fitness: float[population_size].

    Returns:
        float[population_size].
    """
    invalid = jnp.isnan(fitness)
    count = jnp.sum(invalid).astype(weights.dtype)
    typical = jnp.sum(jnp.where(invalid, 0, weights)) * (1 / jnp.maximum(weights.size - count, 1))
    return jnp.where(invalid, typical + count * (1 / weights.size) * (weights - typical), weights)


def pulls(weights: jax.Array, fitness: jax.Array) -> jax.Array:
    """How strongly each antithetic pair pulls in its direction: the difference of its members' `lenient` weights.

    Args:
        weights: float[population_size], from the shaping.
        fitness: float[population_size].

    Returns:
        float[population_size / 2].
    """
    weights = lenient(weights, fitness)
    return weights[0::2] - weights[1::2]
