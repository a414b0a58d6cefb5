"""The search gradient of a Gaussian-smoothed fitness: members `mean + sigma * z`, and the sum of their z by weight.

What open_es, ars, esmc, pes and nres share; they differ in what a z is drawn from, and in the weights. The z of a unit
(an antithetic pair, or a member where there are no pairs) is a function of the generation's key and the unit's id, so
it is drawn again for the sum instead of being kept.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxes.blocks import Comm, over_blocks
from jaxes.noise import Noise
from jaxes.strategies.parts.members import from_noise, signed
from jaxes.support import keys

Draw = Callable[[Any, Any], Any]
"""`draw(state, units) -> z`: units are a `Block` or int[k]; leaves [k, *leaf.shape]"""


class Smoothed(NamedTuple):
    """Functions of a state with `key`, `step`, `mean` and `sigma` (float[])."""

    draw: Draw
    ask: Callable[..., Any]
    """`ask(state, ids=None) -> population`, as a strategy has it"""
    total: Callable[[Any, jax.Array, Comm], Any]
    """`total(state, weights, comm) -> sum_i weights[i] * z_i`: weights float[units]; a tree like the mean"""


def smoothed(
    noise: Noise, population_size: int, blocks: int, *, antithetic: bool = True, draw: Draw | None = None
) -> Smoothed:
    """The draw, the members and the sum of a generation.

    Args:
        noise: the kind of perturbation.
        population_size: members per generation.
        blocks: the population is drawn and summed in that many parts, one at a time.
        antithetic: members 2u and 2u+1 are `mean + sigma * z` and `mean - sigma * z` with the z of unit u.
        draw: from a state and units to their z; `of_generation(noise)` by default.
    """
    draw = of_generation(noise) if draw is None else draw
    units = population_size // 2 if antithetic else population_size

    def ask(state, ids=None):
        fresh = lambda which: draw(state, which)
        return members(noise, state.mean, state.sigma, ids, population_size, fresh, antithetic)

    def total(state, weights, comm):
        block = lambda part: ((), noise.combine(part.of(weights), draw(state, part)))
        return over_blocks(block, units, blocks, comm)[1]

    return Smoothed(draw, ask, total)


def of_generation(noise: Noise) -> Draw:
    """New noise in every generation."""
    return lambda state, which: noise.sample(keys.of_generation(state), which, state.mean)


def members(
    noise: Noise,
    mean: Any,
    sigma: Any,
    ids: Any,
    population_size: int,
    draw: Callable[[Any], Any],
    antithetic: bool = True,
) -> Any:
    """The population `mean + sigma * z`, or some of it.

    Args:
        noise: the kind of perturbation.
        mean: the parameters.
        sigma: float[].
        ids: None (all members), a `Block`, or int[k].
        population_size: how many members there are.
        draw: `draw(units) -> z`.
        antithetic: whether members 2u and 2u+1 are mirror images of each other.
    """
    member = lambda sign, z: noise.perturb(mean, signed(sign, sigma), z)
    return from_noise(ids, population_size, antithetic, draw, member)
