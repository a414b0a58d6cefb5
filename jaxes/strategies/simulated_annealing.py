"""Simulated annealing: the search moves to the best neighbor if that is better, and sometimes even if it is worse.

Kirkpatrick, Gelatt, Vecchi: "Optimization by Simulated Annealing", Science 220 (1983) 671-680: the Metropolis rule with
a temperature that falls by a constant factor. Here `population_size` normal neighbors are tried at once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.strategies.parts import populations
from jaxes.strategies.parts.generations import advance
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: standard deviation of the neighbors
    temperature: jax.Array  # float[]: in units of the fitness
    cooling: jax.Array  # float[]: the temperature's factor from one generation to the next
    current: Any  # like the parameters: where the search is
    current_fitness: jax.Array  # float[]: the fitness there, -inf before any
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def simulated_annealing(
    population_size: int,
    sigma: Number = 0.1,
    *,
    temperature: Number = 1.0,
    cooling: Number = 0.98,
    blocks: int = 1,
) -> Strategy:
    """Simulated annealing. Member 0 of the first generation is the start itself.

    Args:
        population_size: neighbors per generation, 2 or more.
        sigma: standard deviation of the neighbors, in units of the parameters; a number or an optax schedule.
        temperature: in units of the fitness: the search moves to a neighbor that is worse by this much with probability
            1/e. A number is the first temperature, which is then cooled; an optax schedule replaces the cooling.
        cooling: factor of the temperature from one generation to the next; a number or an optax schedule.
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `temperature`, `cooling`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.simulated_annealing(16, 0.1)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=200)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.01)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    numbers = {"sigma": sigma, "temperature": temperature, "cooling": cooling}

    def init(key, params, **given) -> State:
        fields = populations.begin(key, params, numbers, given)
        return State(current=fields["best"], current_fitness=fields["best_fitness"], **fields)

    def make(state, ids):
        return populations.around(state, state.current, ids, state.sigma)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        index = populations.leader(order)
        neighbor, value = populations.take(make(state, index[None]), 0), fitness[index]
        # Metropolis: accept with probability min(1, exp(change / temperature)); as u > 0, never -inf and NaN.
        key, least = populations.choice_keys(state, index[None])[0], jnp.finfo(value.dtype).tiny
        u = jax.random.uniform(key, (), value.dtype, least)
        accepted = (value >= state.current_fitness) | (value - state.current_fitness > state.temperature * jnp.log(u))
        better, some = value > state.best_fitness, ~jnp.all(jnp.isnan(fitness))
        here, best = (state.current, state.current_fitness), (state.best, state.best_fitness)
        current, current_fitness = trees.where(accepted, (neighbor, value), here)
        best, best_fitness = trees.where(better, (neighbor, value), best)
        new = {
            "current": current,
            "current_fitness": current_fitness,
            "best": best,
            "best_fitness": best_fitness,
            "temperature": jnp.where(some, state.temperature * state.cooling, state.temperature),
        }
        return advance(state, numbers, new), summarize(fitness, state.best, best, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
