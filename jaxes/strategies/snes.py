"""Separable natural evolution strategy: one sigma per coordinate.

Schaul, Glasmachers, Schmidhuber: "High Dimensions and Heavy Tails for Natural Evolution Strategies", GECCO 2011;
Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: "Natural Evolution Strategies", JMLR 15 (2014) 949-980,
Algorithm 6 and Table 1.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.shaping import Shaping, nes_utilities, shaped, shaping_of
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.generations import advance
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: Any  # like the mean, f32 or wider: standard deviation of each coordinate
    learning_rate: jax.Array  # float[]: learning rate of the mean
    sigma_learning_rate: jax.Array  # float[]: learning rate of log(sigma)


@strategy_factory
def snes(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    learning_rate: Number = 1.0,
    sigma_learning_rate: Number | None = None,
    shaping: Shaping | str | None = None,
    blocks: int = 1,
) -> Strategy:
    """Separable natural evolution strategy.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + 3 ln(n).
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        learning_rate: learning rate of the mean, a number or an optax schedule.
        sigma_learning_rate: learning rate of log(sigma), a number or an optax schedule; (3 + ln n) / (5 sqrt n) by
            default.
        shaping: from fitness to weights, which are summed; `jaxes.shaping.nes_utilities()` by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `sigma_learning_rate`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.snes(16, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(jnp.array([1.0, 10.0, 100.0]) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=100)
    >>> bool(infos.mean[-1] > -1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    shaping = shaping_of(shaping, nes_utilities)
    numbers = {"sigma": sigma, "learning_rate": learning_rate, "sigma_learning_rate": sigma_learning_rate}

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n = trees.size(params)
        rate = (3 + math.log(n)) / (5 * math.sqrt(n))  # Table 1
        return State(mean=params, **diagonal.begin(key, params, numbers, given, {"sigma_learning_rate": rate}))

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.learning_rate.dtype)
        # Algorithm 6: gradients of the mean, sum u z, and of sigma, sum u (z^2 - 1).
        first, second = diagonal.moments(state, weights, blocks, comm)
        mean = diagonal.moved(state.mean, trees.scaled(state.learning_rate, state.sigma), first)
        total, half = jnp.sum(weights), 0.5 * state.sigma_learning_rate
        sigma = jax.tree.map(lambda s, square: s * jnp.exp(half * (square - total)), state.sigma, second)
        new = advance(state, numbers, {"mean": mean, "sigma": sigma}, fitness)
        gradient = jax.tree.map(lambda g, s: g / s, first, state.sigma)
        return new, summarize(fitness, state.mean, new.mean, state.sigma, trees.norm(gradient))

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.diagonal)
