"""The simple genetic algorithm: truncation selection, normal mutations, one elite, no crossover.

Such, Madhavan, Conti, Lehman, Stanley, Clune: "Deep Neuroevolution: Genetic Algorithms are a Competitive Alternative
for Training Deep Neural Networks for Reinforcement Learning", 2017, arXiv:1712.06567, Algorithm 1.
"""

from typing import Any, NamedTuple

import jax

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
    elites: Any  # leaves [elite, *leaf.shape]: the parents of the next generation, best first
    fitness: jax.Array  # float[elite]: fitness of the elites, -inf before any
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def simple_ga(population_size: int, sigma: Number = 0.1, *, elite_fraction: float = 0.2, blocks: int = 1) -> Strategy:
    """The simple genetic algorithm. The state holds only the parents; at first they are copies of the start.

    Args:
        population_size: members per generation, 2 or more; member 0 is the best of the generation before, unchanged.
        sigma: standard deviation of the mutations, in units of the parameters; a number or an optax schedule.
        elite_fraction: the part of the population that has children; in (0, 1]. The paper has 20 of 1,000.
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.simple_ga(64, 0.05)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.01)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    elite = checks.elite_count(elite_fraction, population_size)
    numbers = {"sigma": sigma}

    def init(key, params, **given) -> State:
        return State(**genetic.begin(key, params, elite, numbers, given))

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: genetic.children(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        new = genetic.next_parents(state, fitness, order, genetic.children)
        return advance(state, numbers, new), summarize(fitness, state.best, new["best"], state.sigma)

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
