"""How much an invalid member weighs, and how strongly an antithetic pair pulls."""

import jax
import jax.numpy as jnp


def lenient(weights: jax.Array, fitness: jax.Array) -> jax.Array:
    """Weights in which an invalid member counts nearly as an average one, if few members are invalid.

    If an invalid member counted as the worst, a member whose partner failed by accident would look good in any case.
    But where half of the space is invalid, the search should learn to avoid it. So the weight of an invalid member goes
    from the mean weight of the valid members to the shaping's weight as the share of invalid members goes from 0 to 1.

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
