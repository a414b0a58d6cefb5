"""Stochastic hill climbing: normal members around the best one so far, which only a better one replaces.

The (1 + lambda) evolution strategy without adaptation: Rechenberg: "Evolutionsstrategie", 1973; Juels, Wattenberg:
"Stochastic Hillclimbing as a Baseline Method for Evaluating Genetic Algorithms", NIPS 1995.
"""

from typing import Any, NamedTuple

import jax

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.strategies.parts import populations
from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: standard deviation of the members
    best: Any  # the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def hill_climbing(population_size: int, sigma: Number = 0.1, *, blocks: int = 1) -> Strategy:
    """Stochastic hill climbing. Member 0 of the first generation is the start itself.

    Args:
        population_size: members per generation, 2 or more.
        sigma: standard deviation of the members around the best one, in units of the parameters; a number or an optax
            schedule. It limits how near to an optimum the search can come; `mr15_ga` adapts it.
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`.

    >>> import jax, jaxes, optax, jax.numpy as jnp
    >>> strategy = jaxes.hill_climbing(16, optax.exponential_decay(0.5, 10, 0.5))
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    numbers = {"sigma": sigma}

    def init(key, params, **given) -> State:
        return State(**populations.begin(key, params, numbers, given))

    def make(state, ids):
        return populations.around(state, state.best, ids, state.sigma)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        return populations.tell_best(state, fitness, population_size, make, numbers)

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
