"""Long inner problems, one piece in each generation: members keep the state of their inner problem in between.

The setting of Vicol, Metz, Sohl-Dickstein 2021 (arXiv:2112.13835): an episode of T steps is cut into `unrolls` pieces,
and the outer parameters are updated after each piece.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.lowrank.population import vmap
from jaxes.problem import Problem
from jaxes.support import checks


class State(NamedTuple):
    step: jax.Array  # int32[]: generations so far
    inner: Any  # leaves [population_size, ...]: where each member's inner problem stands


def unrolled(
    start: Callable[[jax.Array], Any],
    unroll: Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]],
    *,
    population_size: int,
    unrolls: int,
    stagger: bool = False,
    seeds: Literal["pair", "generation", "independent"] = "pair",
) -> Problem:
    """The problem of maximizing what an inner problem earns, unrolled piece by piece.

    `jaxes.pes` and `jaxes.nres` with the same `unrolls` and `stagger` estimate the gradient of whole episodes without
    bias; other strategies see each piece alone. Start the strategy and the problem together, at generation 0, so that
    both know where an episode begins.

    Args:
        start: `key -> inner state` of one member, at the beginning of an episode.
        unroll: `(inner state, member, key) -> (inner state, fitness)`: one piece, with this member's parameters; the
            fitness, a scalar, is what this piece earned; higher is better.
        population_size: members per generation, as in the strategy.
        unrolls: how many pieces (generations) an episode has.
        stagger: pair u begins its episodes u generations before pair 0, so that each generation has pieces from all
            parts of an episode (Li et al. 2023, "step-unlocked workers"); the first episodes are shorter. Otherwise all
            members begin together.
        seeds: which members have the same key: "pair", both members of an antithetic pair; "generation", all members;
            "independent", none.

    Raises:
        ValueError: if `unrolls` is not an int of 1 or more, for unknown `seeds`, or if the strategy has another
            population size.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> def unroll(x, rate, key):  # ten steps of gradient descent on x^2
    ...     x = jax.lax.fori_loop(0, 10, lambda _, x: x - rate * 2 * x, x)
    ...     return x, -(x**2)
    >>> problem = jaxes.unrolled(lambda key: jnp.float32(1), unroll, population_size=8, unrolls=4)
    >>> strategy = jaxes.pes(8, 0.01, unrolls=4)
    >>> carry = strategy.init(jax.random.key(0), jnp.float32(0.0)), problem.init(jax.random.key(1))
    >>> (state, _), infos = jax.lax.scan(jaxes.generation(strategy, problem), carry, length=100)
    >>> bool(strategy.recommend(state) > 0.1)
    True
    """
    checks.count("unrolls", unrolls)
    checks.one_of("seeds", seeds, ("pair", "generation", "independent"))

    def init(key):
        keys = jax.random.split(key, population_size)
        inner = jax.vmap(start)(keys)
        return State(jnp.int32(0), inner)

    def evaluate(state, key, ask, ids):
        group = {"pair": ids // 2, "generation": jnp.zeros_like(ids), "independent": ids}[seeds]
        new = (piece(state.step, ids // 2, unrolls, stagger) == 0) | (state.step == 0)

        def one(member, new, inner, group):
            own = jax.random.fold_in(key, group)
            begun = start(jax.random.fold_in(own, 0))
            inner = jax.tree.map(lambda a, b: jnp.where(new, a, b), begun, inner)
            return unroll(inner, member, jax.random.fold_in(own, 1))

        inner, fitness = vmap(one)(ask(), new, jax.tree.map(lambda x: x[ids], state.inner), group)
        return fitness, (), inner

    def update(state, sums, inner):
        del sums
        size = jax.tree.leaves(inner)[0].shape[0]
        if size != population_size:
            raise ValueError(f"population_size of the problem must be the strategy's {size}, got {population_size}")
        return State(state.step + 1, inner)

    return Problem(init, evaluate, update, rows=True)


def piece(step: jax.Array, pairs: jax.Array, unrolls: int, stagger: bool) -> jax.Array:
    """Which piece of its episode each antithetic pair is at, 0 for the first: int32 like `pairs`."""
    return _pieces(step, pairs, stagger) % unrolls


def episode(step: jax.Array, pairs: jax.Array, unrolls: int, stagger: bool) -> jax.Array:
    """How many episodes each antithetic pair has ended: int32 like `pairs`."""
    return _pieces(step, pairs, stagger) // unrolls


def _pieces(step, pairs, stagger):
    return step + (pairs if stagger else jnp.zeros_like(pairs))
