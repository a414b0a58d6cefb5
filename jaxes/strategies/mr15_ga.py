"""A genetic algorithm whose mutation rate follows the one-fifth success rule.

Rechenberg: "Evolutionsstrategie", 1973: if more than one step in five is a success, the steps are too small. Here a
success is a child that is better than its parent, counted over a generation, as in the baseline 15MR of Kumar, Liu,
Miikkulainen, Stone: "Effective Mutation Rate Adaptation through Group Elite Selection", GECCO 2022, arXiv:2204.04817.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.strategies.parts import genetic, populations
from jaxes.strategies.parts.generations import advance
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: standard deviation of a mutation
    factor: jax.Array  # float[]: factor by which sigma changes
    elites: Any  # leaves [elite, *leaf.shape]: the parents of the next generation, best first
    fitness: jax.Array  # float[elite]: fitness of the elites, -inf before any
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def mr15_ga(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    factor: Number = 2.0,
    elite_fraction: float = 0.2,
    blocks: int = 1,
) -> Strategy:
    """A genetic algorithm with the one-fifth rule. The state holds only the parents, at first copies of the start.

    Args:
        population_size: members per generation, 2 or more; member 0 is the best of the generation before, unchanged.
        sigma: initial standard deviation of the mutations, in units of the parameters.
        factor: sigma is multiplied by this where more than a fifth of the children are better than their parents, and
            divided by it where fewer are; a number or an optax schedule.
        elite_fraction: the part of the population that has children; in (0, 1].
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `factor`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.mr15_ga(32, 0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    elite = checks.elite_count(elite_fraction, population_size)
    numbers = {"sigma": sigma, "factor": factor}

    def init(key, params, **given) -> State:
        return State(**genetic.begin(key, params, elite, numbers, given))

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: genetic.children(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        new = genetic.next_parents(state, fitness, order, genetic.children)
        mutants = jnp.arange(1, population_size, dtype=jnp.int32)
        before = genetic.parent_fitness(state, fitness, genetic.choices(state, mutants).parent)
        successes = 5 * jnp.sum(fitness[1:] > before, dtype=jnp.int32)
        total = population_size - 1
        scale = jnp.where(successes > total, state.factor, jnp.where(successes < total, 1 / state.factor, 1))
        some = ~jnp.all(jnp.isnan(fitness))
        sigma = jnp.where(some, genetic.within(state.sigma * scale), state.sigma)
        info = summarize(fitness, state.best, new["best"], state.sigma)
        return advance(state, numbers, {"sigma": sigma, **new}), info

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
