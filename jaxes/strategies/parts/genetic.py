"""What genetic algorithms share: truncation selection among mutants, with one elite that is kept as it is.

A generation is a function of its parents: member 0 is the first parent, unchanged, and every other member is a mutant
of a parent that is drawn at random (Such et al. 2017, Algorithm 1). The parents of the next generation are the best
members of this one. The first generation's parents are all the same, and the fitness of its member 0 is theirs.

States hold `elites` (leaves [count, *leaf.shape], best first) and `fitness` (float[count], -inf before any), `best`
and `best_fitness`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.schedules import Number
from jaxes.strategies.parts import populations
from jaxes.support import keys, trees


class Choices(NamedTuple):
    """What members choose, each by its own key."""

    parent: jax.Array  # int32[k]: 0 for the elite
    exponent: jax.Array  # float[k], uniform in [-1, 1): how far a mutation rate mutates


class Selection(NamedTuple):
    """Who the next parents are."""

    order: jax.Array  # int32[count]: members, best first
    lost: jax.Array  # bool[count]: that member is invalid, and an old parent stays
    stay: jax.Array  # int32[count]: which one


def begin(
    key: jax.Array, params: Any, count: int, numbers: Mapping[str, Number], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a state before the first generation: `populations.begin`, and `count` equal parents."""
    fields = populations.begin(key, params, numbers, given, exclusive=numbers)
    rows = populations.repeated(fields["best"], count)
    return {**fields, "elites": rows, "fitness": jnp.full(count, fields["best_fitness"])}


def choices(state: Any, ids: jax.Array, count: int | None = None) -> Choices:
    """The parent of each member, one of the first `count` (all by default), and a uniform number."""
    count = state.fitness.shape[0] if count is None else count

    def one(key):
        first, second = jax.random.split(key)
        exponent = jax.random.uniform(second, (), state.fitness.dtype, -1.0, 1.0)
        return jax.random.randint(first, (), 0, count, jnp.int32), exponent

    parent, exponent = jax.vmap(one)(populations.choice_keys(state, ids))
    return Choices(jnp.where(ids == 0, 0, parent), exponent)


def mutants(state: Any, ids: jax.Array, parent: jax.Array, sigma: jax.Array) -> Any:
    """Members `ids`: their parents plus normal numbers times sigma (float[] or float[k]); the elite stays as it is."""
    origins = populations.take(state.elites, parent)
    return populations.perturbed(keys.of_generation(state), ids, origins, jnp.where(ids == 0, 0, sigma))


def children(state: Any, ids: jax.Array) -> Any:
    """Members `ids`, mutated with the state's only sigma."""
    return mutants(state, ids, choices(state, ids).parent, state.sigma)


def parent_fitness(state: Any, fitness: jax.Array, parent: jax.Array) -> jax.Array:
    """float[k]: the fitness that each parent was told with; in the first generation, the fitness of member 0."""
    start = jnp.where(jnp.isnan(fitness[0]), -jnp.inf, fitness[0])
    return jnp.where(state.step == 0, start, state.fitness[parent])


def select(fitness: jax.Array, count: int) -> Selection:
    """Truncation: the best `count` members, best first; where fewer are valid, old parents stay in their order."""
    order = jnp.argsort(-fitness)[:count].astype(jnp.int32)
    lost = jnp.isnan(fitness[order])
    stay = jnp.arange(count, dtype=jnp.int32) - jnp.sum(~lost, dtype=jnp.int32)
    return Selection(order, lost, jnp.maximum(stay, 0))


def inherited(selection: Selection, new: Any, old: Any) -> Any:
    """The next parents' rows: `new` ones for the members `selection.order`, `old` ones for old parents that stay."""
    return populations.choose(selection.lost, populations.take(old, selection.stay), new)


def survivors(state: Any, fitness: jax.Array, selection: Selection, members: Any) -> dict[str, Any]:
    """The four fields after a generation, given the members `selection.order`."""
    rows, values = inherited(selection, (members, fitness[selection.order]), (state.elites, state.fitness))
    first = fitness[selection.order[0]]
    better = first > state.best_fitness
    return {
        "elites": rows,
        "fitness": values,
        "best": trees.where(better, populations.take(members, 0), state.best),
        "best_fitness": jnp.where(better, first, state.best_fitness),
    }


def next_parents(
    state: Any, fitness: jax.Array, order: jax.Array, make: Callable[[Any, jax.Array], Any]
) -> dict[str, Any]:
    """`survivors` of the members that `make(state, ids)` makes, as many as there are parents."""
    selection = select(order, state.fitness.shape[0])
    return survivors(state, fitness, selection, make(state, selection.order))


def within(sigma: jax.Array) -> jax.Array:
    """Step sizes, held where they are neither zero nor infinite, which no further factor could undo."""
    limits = jnp.finfo(sigma.dtype)
    return jnp.clip(sigma, limits.tiny, limits.max)
