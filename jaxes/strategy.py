"""What a strategy is: three pure functions and a way to read the answer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Block
from jaxes.lowrank.leaf import any_low_rank
from jaxes.lowrank.population import each, interleaved
from jaxes.support import checks, trees


class Strategy(NamedTuple):
    """An evolution strategy. Every function is pure and goes through `jit`, `vmap`, `scan` and a checkpoint.

    The state is a NamedTuple that begins with `key` (never consumed: generation `t` draws from `fold_in(key, t)`) and
    `step` (int32, generations told so far) and holds every number of the strategy.
    """

    init: Callable[..., Any]
    """`init(key, params, **numbers) -> state`"""
    ask: Callable[..., Any]
    """`ask(state, ids=None) -> population`, leaves [population_size or k, *leaf.shape]; ids: int[k] or a `Block`"""
    tell: Callable[..., Any]
    """`tell(state, fitness) -> (state, info)`, fitness float[population_size], higher is better"""
    recommend: Callable[..., Any]
    """`recommend(state) -> params`: what to deploy"""
    population_size: int
    blocks: int = 1
    stream: "Stream | None" = None


class Stream(NamedTuple):
    """How a strategy learns from a block of its population while it still has the block's noise.

    So a generation in blocks draws every perturbation once, not once to ask and once more to tell.
    """

    ask: Callable[..., tuple[Any, Any]]
    """`ask(state, block) -> (members, noise)`"""
    add: Callable[..., Any]
    """`add(fitness float[block.size], noise) -> sums`, a tree that is added up over the blocks"""
    tell: Callable[..., Any]
    """`tell(state, fitness, sums) -> (state, info)`"""


class Info(NamedTuple):
    """What one generation was like; scalars only, so that `scan` can stack it. NaN where there is no such thing."""

    best: jax.Array  # float[]: highest fitness
    mean: jax.Array  # float[]: mean of the valid fitnesses
    worst: jax.Array  # float[]: lowest valid fitness
    elites: jax.Array  # int32[]: members above the mean
    invalid: jax.Array  # int32[]: members whose fitness is NaN
    grad_norm: jax.Array  # float[]: Euclidean norm of the gradient estimate
    update_ratio: jax.Array  # float[]: norm of the parameters' change / norm of the parameters
    sigma: jax.Array  # float[]: the step size that was used (root mean square if there are many)


def summarize(fitness: jax.Array, old: Any, new: Any, sigma: Any, grad_norm: jax.Array | None = None) -> Info:
    """The `Info` of a generation.

    Args:
        fitness: float[population_size].
        old: the parameters before the update, as recommended; `new` after it.
        sigma: the step sizes that were used: a scalar, or a tree.
        grad_norm: float[], or None where there is no gradient.
    """
    valid = ~jnp.isnan(fitness)
    count = jnp.sum(valid)
    some = count > 0
    nan = jnp.asarray(jnp.nan, fitness.dtype)
    mean = jnp.where(some, jnp.sum(jnp.where(valid, fitness, 0)) / jnp.maximum(count, 1).astype(fitness.dtype), nan)
    return Info(
        best=jnp.where(some, jnp.max(jnp.where(valid, fitness, -jnp.inf)), nan),
        mean=mean,
        worst=jnp.where(some, jnp.min(jnp.where(valid, fitness, jnp.inf)), nan),
        elites=jnp.sum(fitness > mean, dtype=jnp.int32),
        invalid=jnp.sum(~valid, dtype=jnp.int32),
        grad_norm=nan if grad_norm is None else grad_norm.astype(fitness.dtype),
        update_ratio=(trees.norm(jax.tree.map(jnp.subtract, new, old)) / trees.norm(old)).astype(fitness.dtype),
        sigma=(trees.norm(sigma) * trees.size(sigma) ** -0.5).astype(fitness.dtype),
    )


def generation_key(state: Any) -> jax.Array:
    """The key of the state's current generation."""
    return jax.random.fold_in(state.key, state.step)


def place_members(ids: Any, size: int, antithetic: bool, draw: Callable, place: Callable) -> Any:
    """A population, or some of it, from its noise.

    Args:
        ids: None (all `size` members), a `Block`, or int[k].
        antithetic: members 2u and 2u+1 share the noise of unit u with opposite signs; otherwise member i has unit i.
        draw: `draw(units) -> z`, leaves [units, ...]; units are a `Block` or int[k].
        place: `place(sign, z_of_one) -> member`; sign is +1.0 or -1.0.
    """
    if ids is None:
        ids = Block(0, size)
    if not isinstance(ids, Block):
        ids = checks.ids(ids)
    if not antithetic:
        return each(lambda z: place(1.0, z), draw(ids))
    if isinstance(ids, Block) and ids.size % 2 == 0:
        # Blocks of a strategy begin with an even member, so this one is made of whole pairs.
        z = draw(ids.pairs)
        if isinstance(ids.start, int) or any_low_rank(z):
            # The faster way on CPU (benchmarks/core.py), but in a loop over blocks XLA would draw dense noise twice.
            return interleaved(*(each(lambda one, sign=sign: place(sign, one), z) for sign in (1.0, -1.0)))
        twice = lambda z: jnp.broadcast_to(z[:, None], (z.shape[0], 2, *z.shape[1:])).reshape(ids.size, *z.shape[1:])
        return each(place, _signs(ids.ids), jax.tree.map(twice, z))
    if isinstance(ids, Block):
        ids = ids.ids
    return each(place, _signs(ids), draw(ids // 2))


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


def _signs(ids: jax.Array) -> jax.Array:
    return 1.0 - 2.0 * (ids % 2).astype(jnp.float32)


def signed(sign: jax.Array | float, scale: jax.Array | float) -> jax.Array | float:
    """`sign * scale` without a product: XLA would gather constant signs with constants of the noise, and round anew."""
    return jnp.where(sign < 0, -scale, scale)


def by_chunks(fn: Callable[[jax.Array], jax.Array], rows: jax.Array, size: int = 8) -> jax.Array:
    """`fn` (a matrix product) of `size` rows at a time, so that a row's bits do not depend on how many are asked for.

    Args:
        fn: float[size, n] -> float[size, m], row by row.
        rows: float[k, n]; the last chunk is filled up with zeros.

    Returns:
        float[k, m].
    """
    count = rows.shape[0]
    chunks = jnp.pad(rows, ((0, -count % size), (0, 0))).reshape(-1, size, rows.shape[1])
    out = jax.lax.map(fn, chunks)
    return out.reshape(-1, out.shape[-1])[:count]
