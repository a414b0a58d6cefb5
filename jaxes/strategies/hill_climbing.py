"""Stochastic hill climbing: normal members around the best one so far, which gives way to a better one only.

The (1 + lambda) evolution strategy without adaptation: Rechenberg: "Evolutionsstrategie", 1973; Juels, Wattenberg:
"Stochastic Hillclimbing as a Baseline Method for Evaluating Genetic Algorithms", NIPS 1995.
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
    sigma: jax.Array  # float[]: standard deviation of the members
    best: Any  # the parameters: the best member so far
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@memoized
def hill_climbing(population_size: int, sigma: Number = 0.1, *, blocks: int = 1) -> Strategy:
    """Stochastic hill climbing. Member 0 of the first generation is the start itself.

    Args:
        population_size: members per generation, 2 or more.
        sigma: standard deviation of the members around the best one, in units of the parameters; a number or an optax
            schedule. It sets how near an optimum the search can come; `mr15_ga` and `gradientless_descent` adapt it.
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
    default = sigma

    def init(key, params, *, sigma=None) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        return State(
            key=checks.key(key),
            step=jnp.int32(0),
            sigma=start("sigma", sigma, default, dtype, exclusive=True),
            best=params,
            best_fitness=jnp.asarray(-jnp.inf, dtype),
        )

    def make(state, ids):
        scales = jnp.where((state.step == 0) & (ids == 0), 0, state.sigma)
        best = populations.repeated(state.best, ids.size)
        return populations.perturbed(keys.of_generation(state), ids, best, scales)

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
