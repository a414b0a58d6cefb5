"""The gradient of a smoothed objective, in place of `jax.value_and_grad`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.blocks import over_blocks
from jaxes.lowrank.population import vmap
from jaxes.noise import Noise, noise_of
from jaxes.strategies.parts.smoothed import members
from jaxes.support import checks, trees


def es_value_and_grad(
    objective: Callable[[Any], jax.Array],
    *,
    sigma: float = 0.1,
    population_size: int = 64,
    noise: Noise | str | None = None,
    blocks: int = 1,
) -> Callable[[Any, jax.Array], tuple[jax.Array, Any]]:
    """Estimate value and gradient of the smoothed objective `E[objective(params + sigma * z)]` from evaluations alone.

    The estimate is the antithetic one of Salimans et al. 2017, section 2:
    `sum_i (f_i+ - f_i-) z_i / (population_size * sigma)`. It is unbiased for the gradient of the smoothed objective,
    which for a quadratic function is the gradient of the function itself.

    Args:
        objective: params -> scalar; it need not be differentiable. To minimize it, descend the gradient.
        sigma: standard deviation of the perturbations, in units of the parameters.
        population_size: how many evaluations there are; even.
        noise: the kind of perturbation; `jaxes.noise.gaussian()` by default.
        blocks: the evaluations are done in that many parts, one at a time.

    Returns:
        `fn(params, key) -> (value, gradient)`: the mean of all evaluations (a scalar), and a tree like `params`.

    >>> import jax, jax.numpy as jnp
    >>> estimate = es_value_and_grad(lambda x: jnp.sum(x**2), population_size=4096)
    >>> value, gradient = estimate(jnp.ones(2), jax.random.key(0))
    >>> jnp.round(gradient).tolist()
    [2.0, 2.0]
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.function("objective", objective, "params")
    checks.number("sigma", sigma, exclusive=True)
    noise = noise_of(noise)

    def value_and_grad(params, key):
        params, key = checks.params(params), checks.key(key)

        def block(part):
            draw = lambda units: noise.sample(key, units, params)
            values = vmap(objective)(members(noise, params, sigma, part, population_size, draw))
            slope = noise.combine(values[0::2] - values[1::2], draw(part.pairs))
            return (), (jnp.sum(values), slope)

        _, (total, slope) = over_blocks(block, population_size, blocks, "blocks")
        scale = 1 / (population_size * jnp.asarray(sigma, trees.number_dtype(params)))
        return total * (1 / population_size), trees.scaled(scale, slope)

    return value_and_grad
