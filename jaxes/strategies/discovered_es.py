"""The discovered evolution strategy (DES): what a learned evolution strategy does, in closed form.

Lange, Schaul, Chen, Zahavy, Dalibard, Lu, Singh, Flennerhag: "Discovering Evolution Strategies via Meta-Black-Box
Optimization", ICLR 2023, arXiv:2211.11260, section 5 ("reverse engineering").
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.generations import advance
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, ranking, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: Any  # like the mean, f32 or wider: standard deviation of each coordinate
    temperature: jax.Array  # float[]: how sharply the weights tell the better half from the worse
    learning_rate: jax.Array  # float[]: learning rate of the mean
    sigma_learning_rate: jax.Array  # float[]: learning rate of sigma


@strategy_factory
def discovered_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    temperature: Number = 12.5,
    learning_rate: Number = 1.0,
    sigma_learning_rate: Number = 0.1,
    blocks: int = 1,
) -> Strategy:
    """The discovered evolution strategy, with a diagonal Gaussian.

    A member's weight is `softmax(20 (1 - sigmoid(temperature r)))`, where r is its centered rank, -1/2 for the best and
    1/2 for the worst. So the better part has nearly equal weights, and the rest hardly any. Deviations are taken around
    the OLD mean.

    Args:
        population_size: members per generation, 2 or more.
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        temperature: how sharply the better half is told from the worse, a number or an optax schedule.
        learning_rate: learning rate of the mean, a number or an optax schedule.
        sigma_learning_rate: learning rate of the standard deviations, a number or an optax schedule.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `temperature`, `learning_rate`, `sigma_learning_rate`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.discovered_es(32, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 0.01)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {
        "sigma": sigma,
        "temperature": temperature,
        "learning_rate": learning_rate,
        "sigma_learning_rate": sigma_learning_rate,
    }
    ranks = np.arange(population_size) / (population_size - 1) - 0.5

    def init(key, params, **given) -> State:
        params = checks.params(params)
        return State(mean=params, **diagonal.begin(key, params, numbers, given))

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size)

    def tell(state, fitness, comm: Comm = "blocks"):
        dtype = state.temperature.dtype
        fitness, order = checks.fitness(fitness, population_size, dtype)
        table = jax.nn.softmax(20 * (1 - jax.nn.sigmoid(state.temperature * jnp.asarray(ranks, dtype))))
        weights = ranking.recombination(table, order)
        first, second = diagonal.moments(state, weights, blocks, comm)
        mean = diagonal.moved(state.mean, trees.scaled(state.learning_rate, state.sigma), first)
        rate = state.sigma_learning_rate
        sigma = jax.tree.map(lambda s, square: s * (1 + rate * (jnp.sqrt(square) - 1)), state.sigma, second)
        new = advance(state, numbers, {"mean": mean, "sigma": sigma}, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.diagonal)
