"""What strategies with a diagonal Gaussian share: members `mean + sigma * z`, and weighted moments of z."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.noise import gaussian
from jaxes.schedules import Number
from jaxes.strategies.parts import generations
from jaxes.strategies.parts.members import from_noise, signed
from jaxes.support import keys, trees

_noise = gaussian()


def begin(
    key: jax.Array,
    params: Any,
    numbers: Mapping[str, Number | None],
    given: Mapping[str, Any],
    defaults: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """`generations.begin`, with the first sigma of every coordinate: a tree like the parameters."""
    fields = generations.begin(key, params, numbers, given, defaults)
    return {**fields, "sigma": jax.tree.map(lambda x: jnp.full(x.shape, fields["sigma"]), params)}


def members(state: Any, ids: Any, population_size: int, antithetic: bool = False) -> Any:
    """`ask` for a state with `key`, `step`, `mean` and `sigma` (a scalar, or a tree like the mean)."""
    draw = lambda which: _noise.sample(keys.of_generation(state), which, state.mean)
    member = lambda sign, z: moved(state.mean, jax.tree.map(lambda s: signed(sign, s), state.sigma), z)
    return from_noise(ids, population_size, antithetic, draw, member)


def moments(
    state: Any, weights: jax.Array, blocks: int, comm: Comm, square_weights: jax.Array | None = None
) -> tuple[Any, Any]:
    """Weighted sums of z and of its square over all units (members, or antithetic pairs), one block at a time.

    Args:
        state: as for `members`.
        weights: float[units].
        blocks: parts, one at a time.
        comm: as for `jaxes.blocks.over_blocks`.
        square_weights: float[units], of the squares; `weights` by default.

    Returns:
        Two trees like the mean, in f32 or wider: `sum_i w_i z_i` and `sum_i w_i z_i**2`.
    """
    squared = weights if square_weights is None else square_weights

    def block(part):
        z = _noise.sample(keys.of_generation(state), part, state.mean)
        wide = jax.tree.map(lambda e: e.astype(weights.dtype), z)
        first = jax.tree.map(lambda e: trees.weighted_rows(part.of(weights), e), wide)
        second = jax.tree.map(lambda e: trees.weighted_rows(part.of(squared), e**2), wide)
        return (), (first, second)

    return over_blocks(block, weights.shape[0], blocks, comm)[1]


def moved(mean: Any, scale: Any, step: Any) -> Any:
    """`mean + scale * step` leaf by leaf, computed in scale's dtype; scale is a scalar or a tree like the mean."""
    if jax.tree.structure(scale) != jax.tree.structure(mean):
        scale = jax.tree.map(lambda _: scale, mean)
    add = lambda x, s, y: (x.astype(s.dtype) + s * y.astype(s.dtype)).astype(x.dtype)
    return jax.tree.map(add, mean, scale, step)


def mean_square(second: Any) -> Any:
    """The mean of a tree of (weighted) squares over all coordinates."""
    return sum(jnp.sum(x) for x in jax.tree.leaves(second)) * (1 / trees.size(second))
