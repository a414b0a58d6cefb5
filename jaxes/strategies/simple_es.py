"""The simple Gaussian evolution strategy: an isotropic Gaussian, refitted to the best members of each generation.

Weng: "Evolution Strategies", 2019, https://lilianweng.github.io/posts/2019-09-05-evolution-strategies/, section "Simple
Gaussian Evolution Strategies"; a (mu, lambda) strategy with equal weights and no cumulation.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.shaping import top
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of every coordinate


@strategy_factory
def simple_es(population_size: int, sigma: Number = 0.1, *, elite_fraction: float = 0.25, blocks: int = 1) -> Strategy:
    """The simple Gaussian evolution strategy.

    The variance of the elite is taken around the OLD mean, as in the tutorial. Under a fitness that is pure noise its
    expectation is then sigma^2, so sigma does not drift, and sigma grows while the mean moves. (Around the new mean the
    variance would shrink by a factor `1 - 1/elite` in each generation.)

    Args:
        population_size: members per generation, a number of 2 or more.
        sigma: initial standard deviation, in units of the parameters; adapted, unless it is an optax schedule.
        elite_fraction: the part of the population that the Gaussian is fitted to; in (0, 1].
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.simple_es(64, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=30)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    select = top(checks.elite_count(elite_fraction, population_size))
    numbers = {"sigma": sigma}

    def init(key, params, **given) -> State:
        params = checks.params(params)
        return State(mean=params, **begin(key, params, numbers, given))

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        first, second = diagonal.moments(state, select(order), blocks, comm)
        # mean <- mean of the elite; sigma^2 <- mean of (x - old mean)^2 over the elite and the coordinates.
        mean = diagonal.moved(state.mean, state.sigma, first)
        sigma = state.sigma * jnp.sqrt(diagonal.mean_square(second))
        new = advance(state, numbers, {"mean": mean, "sigma": sigma}, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.isotropic)
