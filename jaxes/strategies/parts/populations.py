"""What strategies without a mean share: members made by their ids, rows of a tree, and the best member so far.

Their states hold `best` (like the parameters) and `best_fitness` (float[], -inf before anything valid was told), or a
whole population with its fitness, whose best member they recommend.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.blocks import Block
from jaxes.noise import gaussian
from jaxes.schedules import Number
from jaxes.strategies.parts import generations
from jaxes.strategies.parts.diagonal import moved
from jaxes.strategies.parts.members import from_noise
from jaxes.strategy import Info, summarize
from jaxes.support import checks, keys, trees
from jaxes.support.keys import Stream

_noise = gaussian()


def begin(
    key: jax.Array,
    params: Any,
    numbers: Mapping[str, Number | None],
    given: Mapping[str, Any],
    *,
    exclusive: Container[str] = ("sigma",),
) -> dict[str, Any]:
    """The fields of a state that remembers the best member: `key`, `step`, `best`, `best_fitness` and the numbers.

    Args:
        key: from `init`.
        params: from `init`.
        numbers: the factory's numbers by name.
        given: the numbers that `init` was given.
        exclusive: names of the numbers that must be above zero.
    """
    params = checks.params(params)
    fields = generations.begin(key, params, numbers, given, exclusive=exclusive)
    return {**fields, "best": params, "best_fitness": jnp.asarray(-jnp.inf, trees.number_dtype(params))}


def members(ids: Any, size: int, make: Callable[[jax.Array], Any]) -> Any:
    """`ask` for members that `make(ids int32[k]) -> leaves [k, ...]` makes."""
    draw = lambda which: make(which.ids if isinstance(which, Block) else which)
    return from_noise(ids, size, False, draw, lambda _, row: row)


def choice_keys(state: Any, ids: jax.Array) -> jax.Array:
    """key[k]: each member's own key for whatever it chooses; its perturbation is drawn from another key."""
    return keys.of_each(keys.stream(keys.of_generation(state), Stream.CHOICE), ids)


def take(tree: Any, ids: Any) -> Any:
    """Rows of every leaf."""
    return jax.tree.map(lambda x: x[ids], tree)


def choose(conditions: jax.Array, new: Any, old: Any) -> Any:
    """Row by row, `new` where `conditions` (bool[k]) is true, else `old`; both have leaves [k, ...]."""
    return jax.vmap(trees.where)(conditions, new, old)


def repeated(tree: Any, count: int) -> Any:
    """The same row `count` times."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), tree)


def perturbed(key: jax.Array, ids: jax.Array, origins: Any, scales: jax.Array) -> Any:
    """`origin + scale * z`, with the standard normal z of each id under the generation's key.

    Args:
        origins: leaves [k, ...], where each member starts from.
        scales: float[k].
    """
    z = _noise.sample(key, ids, jax.eval_shape(lambda: take(origins, 0)))
    return jax.vmap(moved)(origins, scales, z)


def around(state: Any, center: Any, ids: jax.Array, scales: jax.Array) -> Any:
    """Normal members around `center`, scales float[] or float[k]; member 0 of generation 0 is the center itself."""
    scales = jnp.where((state.step == 0) & (ids == 0), 0, scales)
    return perturbed(keys.of_generation(state), ids, repeated(center, ids.size), scales)


def first(key: jax.Array, params: Any, sigma: jax.Array, size: int) -> Any:
    """A population to begin with, leaves [size, ...]: the parameters themselves, then normal members around them."""
    ids = jnp.arange(size, dtype=jnp.int32)
    return perturbed(keys.stream(key, Stream.POPULATION), ids, repeated(params, size), jnp.where(ids == 0, 0, sigma))


def leader(fitness: jax.Array) -> jax.Array:
    """int32[]: the best member; NaN never is, unless all are."""
    return jnp.argmax(jnp.where(jnp.isnan(fitness), -jnp.inf, fitness)).astype(jnp.int32)


def record(state: Any, fitness: jax.Array, index: jax.Array, make: Callable[[jax.Array], Any]) -> tuple[Any, jax.Array]:
    """The new `best` and `best_fitness`, given the generation's leader; a tie keeps the old one."""
    better = fitness[index] > state.best_fitness
    best = trees.where(better, take(make(index[None]), 0), state.best)
    return best, jnp.where(better, fitness[index], state.best_fitness)


def tell_best(
    state: Any,
    fitness: jax.Array,
    size: int,
    make: Callable[[Any, jax.Array], Any],
    numbers: Mapping[str, Number | None],
) -> tuple[Any, Info]:
    """`tell` of a strategy that learns nothing but the best member.

    Args:
        state: with the fields of `begin`.
        fitness: float[size].
        size: how many members the population has.
        make: `make(state, ids int32[k]) -> members`.
        numbers: the factory's numbers by name.
    """
    fitness, order = checks.fitness(fitness, size, state.best_fitness.dtype)
    best, best_fitness = record(state, fitness, leader(order), lambda which: make(state, which))
    info = summarize(fitness, state.best, best, state.sigma)
    return generations.advance(state, numbers, {"best": best, "best_fitness": best_fitness}), info


def dispersion(population: Any) -> jax.Array:
    """float[]: root mean square distance from the population's center, per coordinate."""
    wide = jax.tree.map(lambda x: x.astype(trees.number_dtype(x)), population)
    # In a unit in which neither a sum nor a square overflows.
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(x)) for x in jax.tree.leaves(wide)]))
    unit = jnp.maximum(largest, jnp.finfo(largest.dtype).tiny)
    inside = trees.scaled(1 / unit, wide)
    center = jax.tree.map(lambda x: x - jnp.mean(x, axis=0, keepdims=True), inside)
    return unit * (trees.norm(center) * trees.size(population) ** -0.5)
