"""Random search: independent normal members around the start; the best one is kept.

Rastrigin: "The Convergence of the Random Search Method in the Extremal Control of a Many Parameter System", Automation
and Remote Control 24 (1963) 1337-1342. It learns nothing, so every other strategy should do better.
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
    center: Any  # the parameters that the search was started with
    sigma: jax.Array  # float[]: standard deviation of the members
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def random_search(population_size: int, sigma: Number = 0.1, *, blocks: int = 1) -> Strategy:
    """Random search. Member 0 of the first generation is the start itself.

    Args:
        population_size: members per generation, 2 or more.
        sigma: standard deviation of the members around the start, in units of the parameters; a number or an optax
            schedule.
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.random_search(32, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(2))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=30)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.05)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    numbers = {"sigma": sigma}

    def init(key, params, **given) -> State:
        fields = populations.begin(key, params, numbers, given)
        return State(center=fields["best"], **fields)

    def make(state, ids):
        return populations.around(state, state.center, ids, state.sigma)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        return populations.tell_best(state, fitness, population_size, make, numbers)

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
