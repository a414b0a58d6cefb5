"""Random search: independent normal members around the start, of which the best is kept.

Rastrigin: "The Convergence of the Random Search Method in the Extremal Control of a Many Parameter System", Automation
and Remote Control 24 (1963) 1337-1342. It learns nothing, so it is what every other strategy has to beat.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number, follow, start
from jaxes.strategies.parts import populations
from jaxes.strategy import Strategy, summarize
from jaxes.support import checks, keys, trees
from jaxes.support.memoized import memoized


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    center: Any  # the parameters that the search was started with
    sigma: jax.Array  # float[]: standard deviation of the members
    best: Any  # like the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@memoized
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
    default = sigma

    def init(key, params, *, sigma=None) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        return State(
            key=checks.key(key),
            step=jnp.int32(0),
            center=params,
            sigma=start("sigma", sigma, default, dtype, exclusive=True),
            best=params,
            best_fitness=jnp.asarray(-jnp.inf, dtype),
        )

    def make(state, ids):
        scales = jnp.where((state.step == 0) & (ids == 0), 0, state.sigma)
        center = populations.repeated(state.center, ids.size)
        return populations.perturbed(keys.of_generation(state), ids, center, scales)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness = checks.fitness(fitness, population_size, state.sigma.dtype)
        best, best_fitness = populations.record(state, fitness, lambda which: make(state, which))
        step = state.step + 1
        info = summarize(fitness, state.best, best, state.sigma)
        sigma = follow(default, state.sigma, step)
        return state._replace(step=step, sigma=sigma, best=best, best_fitness=best_fitness), info

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
