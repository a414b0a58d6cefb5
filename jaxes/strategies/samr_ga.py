"""A genetic algorithm with self-adaptive mutation rates: children inherit their parent's rate, which mutates too.

Clune, Misevic, Ofria, Lenski, Elena, Sanjuan: "Natural Selection Fails to Optimize Mutation Rates for Long-Term
Adaptation on Rugged Fitness Landscapes", PLoS Computational Biology 4 (2008), studies how such rates decay. Here
parameters are real numbers, as in the baseline SAMR of Kumar et al. 2022, arXiv:2204.04817.
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
    sigma: jax.Array  # float[elite]: each parent's standard deviation of a mutation
    tau: jax.Array  # float[]: a child's sigma is its parent's times tau^u, u uniform in [-1, 1)
    elites: Any  # leaves [elite, *leaf.shape]: the parents of the next generation, best first
    fitness: jax.Array  # float[elite]: fitness of the elites, -inf before any
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def samr_ga(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    tau: Number = 2.0,
    elite_fraction: float = 0.2,
    blocks: int = 1,
) -> Strategy:
    """A genetic algorithm with self-adaptive mutation rates. The state holds only the parents, at first the start.

    Args:
        population_size: members per generation, 2 or more; member 0 is the best of the generation before, unchanged.
        sigma: initial standard deviation of the mutations, in units of the parameters.
        tau: how far the standard deviation itself mutates: by a factor between `1 / tau` and `tau`, uniform on a
            logarithmic scale; a number or an optax schedule.
        elite_fraction: the part of the population that has children; in (0, 1].
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `tau`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.samr_ga(32, 0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    elite = checks.elite_count(elite_fraction, population_size)
    numbers = {"sigma": sigma, "tau": tau}

    def init(key, params, **given) -> State:
        fields = genetic.begin(key, params, elite, numbers, given)
        return State(**{**fields, "sigma": jnp.full(elite, fields["sigma"])})

    def make(state, ids):
        """Members, and the mutation rate that each was made with: the elite keeps its own."""
        parent, exponent = genetic.choices(state, ids)
        mutated = genetic.within(state.sigma[parent] * state.tau**exponent)
        sigma = jnp.where(ids == 0, state.sigma[0], mutated)
        return genetic.mutants(state, ids, parent, sigma), sigma

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which)[0])

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.tau.dtype)
        selection = genetic.select(order, elite)
        members, sigma = make(state, selection.order)
        new = genetic.survivors(state, fitness, selection, members)
        sigma = genetic.inherited(selection, sigma, state.sigma)
        info = summarize(fitness, state.best, new["best"], state.sigma)
        return advance(state, numbers, {"sigma": sigma, **new}), info

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
