"""Learning from a block of members while its noise is at hand, so that a generation draws every perturbation once.

A weight that is affine in the fitness, `c * fitness + d`, needs the other members for `c` and `d` only. In the
difference of an antithetic pair `d` cancels, so each block adds up `(f+ - f-) z`, and the generation's `c` scales the
sum.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.blocks import Comm
from jaxes.noise import Noise
from jaxes.shaping import Shaping, is_affine, shaped, slope
from jaxes.strategies.parts.smoothed import Draw, members
from jaxes.strategy import Stream
from jaxes.support import trees


def one_pass(
    noise: Noise,
    population_size: int,
    shaping: Shaping,
    draw: Draw,
    total: Callable[[Any, jax.Array, jax.Array, Comm], Any],
    move: Callable[[Any, jax.Array, Any], Any],
) -> Stream | None:
    """The `Stream` of a strategy with antithetic pairs; None if its shaping is not affine.

    Args:
        noise: the kind of perturbation.
        population_size: members per generation.
        shaping: from fitness to weights.
        draw: `draw(state, units) -> z`.
        total: `total(state, fitness, weights, comm)`: the sum of z by weight, which draws the noise again.
        move: `move(state, fitness, total) -> (state, info)`.
    """
    if not is_affine(shaping):
        return None

    def ask(state, block):
        z = draw(state, block.pairs)
        return members(noise, state.mean, state.sigma, block, population_size, lambda which: z), z

    def add(fitness, z):
        return noise.combine(fitness[0::2] - fitness[1::2], z)

    def tell(state, fitness, differences, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        # The weight of a failed member depends on all others: then the noise is drawn again.
        known = lambda: trees.scaled(slope(weights, fitness), differences)
        again = lambda: total(state, fitness, weights, comm)
        return move(state, fitness, lax.cond(jnp.all(jnp.isfinite(fitness)), known, again))

    return Stream(ask, add, tell)
