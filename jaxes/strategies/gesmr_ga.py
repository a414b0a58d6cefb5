"""A genetic algorithm that selects mutation rates by the best child of each: group elite selection.

Kumar, Liu, Miikkulainen, Stone: "Effective Mutation Rate Adaptation through Group Elite Selection", GECCO 2022,
arXiv:2204.04817: mutation rates are a population of their own, and each is used by one group of members. A rate is
judged by the best change of fitness in its group; judged by the mean change, small rates would always win.
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
    sigma: jax.Array  # float[groups]: standard deviation of each group's mutations, the best rate first
    tau: jax.Array  # float[]: a new rate is an old one times tau^u, u uniform in [-1, 1)
    elites: Any  # leaves [elite, *leaf.shape]: the parents of the next generation, best first
    fitness: jax.Array  # float[elite]: fitness of the elites, -inf before any
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def gesmr_ga(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    groups: int | None = None,
    tau: Number = 2.0,
    elite_fraction: float = 0.5,
    blocks: int = 1,
) -> Strategy:
    """A genetic algorithm with group elite selection of mutation rates. The state holds only parents and rates.

    Args:
        population_size: members per generation, 2 or more; member 0 is the best of the generation before, unchanged.
        sigma: initial standard deviation of the mutations, in units of the parameters, of all groups.
        groups: how many rates there are at a time; a divisor of the population size, by default the one that is nearest
            to its square root. A group has two members or more.
        tau: how far rates mutate: by a factor between `1 / tau` and `tau`, uniform on a logarithmic scale; a number or
            an optax schedule.
        elite_fraction: the part of the population that has children, and the part of the rates that new rates are made
            from; in (0, 1].
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `tau`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.gesmr_ga(32, 0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    elite = checks.elite_count(elite_fraction, population_size)
    fitting = [count for count in range(1, population_size // 2 + 1) if population_size % count == 0]
    count = min(fitting, key=lambda k: abs(k - population_size**0.5)) if groups is None else groups
    if count not in fitting:
        raise ValueError(f"groups must be one of {fitting} for a population_size of {population_size}, got {groups!r}")
    rate_elite = checks.elite_count(elite_fraction, count)
    numbers = {"sigma": sigma, "tau": tau}

    def init(key, params, **given) -> State:
        fields = genetic.begin(key, params, elite, numbers, given)
        return State(**{**fields, "sigma": jnp.full(count, fields["sigma"])})

    def make(state, ids):
        sigma = state.sigma[ids // (population_size // count)]
        return genetic.mutants(state, ids, genetic.choices(state, ids).parent, sigma)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def rates(state, fitness):
        """The next generation's rates: the best one as it is, and mutants of the best few."""
        everyone = jnp.arange(population_size, dtype=jnp.int32)
        before = genetic.parent_fitness(state, fitness, genetic.choices(state, everyone).parent)
        gain = jnp.where(jnp.isnan(fitness), -jnp.inf, jnp.where(fitness == before, 0, fitness - before))
        gain = gain.at[0].set(-jnp.inf)  # the elite is no mutant
        ranked = state.sigma[jnp.argsort(-jnp.max(gain.reshape(count, -1), axis=1))]
        rank = jnp.arange(count, dtype=jnp.int32)
        # The new rates draw their choices as members beyond the population would.
        origin, exponent = genetic.choices(state, population_size + rank, rate_elite)
        return jnp.where(rank == 0, ranked[0], genetic.within(ranked[origin] * state.tau**exponent))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.tau.dtype)
        new = genetic.next_parents(state, fitness, order, make)
        some = ~jnp.all(jnp.isnan(fitness))
        sigma = jnp.where(some, rates(state, fitness), state.sigma)
        info = summarize(fitness, state.best, new["best"], state.sigma)
        return advance(state, numbers, {"sigma": sigma, **new}), info

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
