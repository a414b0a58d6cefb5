"""Natural evolution strategy of an isotropic Gaussian: the log-likelihood gradient, corrected by the Fisher matrix.

Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: "Natural Evolution Strategies", JMLR 15 (2014) 949-980: the
search gradient of section 2 (eq. 2), the natural gradient of section 2.3 (Algorithm 3), the utilities of section 3.1.

For `x = mean + sigma * z` in n dimensions the gradient of the log-likelihood is `z / sigma` for the mean and
`(|z|^2 - n) / sigma` for sigma. The Fisher matrix is diagonal, with `1 / sigma^2` for every coordinate of the mean and
`2 n / sigma^2` for sigma. The natural gradients are therefore `sigma * z` and `sigma * (|z|^2 / n - 1) / 2`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number
from jaxes.shaping import Shaping, nes_utilities, shaped, shaping_of
from jaxes.strategies.parts import deviations, diagonal
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: standard deviation of every coordinate
    learning_rate: jax.Array  # float[]: learning rate of the mean
    sigma_learning_rate: jax.Array  # float[]: learning rate of log(sigma)


@strategy_factory
def nes(
    population_size: int,
    sigma: Number = 0.1,
    *,
    learning_rate: Number = 1.0,
    sigma_learning_rate: Number = 1.0,
    shaping: Shaping | str | None = None,
    blocks: int = 1,
) -> Strategy:
    """Natural evolution strategy with one sigma.

    Sigma is updated on a logarithmic scale, `sigma * exp(rate * (|z|^2 / n - 1) / 2)`: the natural gradient does not
    depend on the parametrization, so the step is the same to first order, and sigma stays positive at any rate.

    Args:
        population_size: members per generation, 2 or more.
        sigma: initial standard deviation, in units of the parameters; adapted, unless it is an optax schedule.
        learning_rate: learning rate of the mean, a number or an optax schedule.
        sigma_learning_rate: learning rate of log(sigma), a number or an optax schedule; 0 keeps sigma as it is.
        shaping: from fitness to weights; `jaxes.shaping.nes_utilities()` by default. The weights are summed, not
            averaged, and the positive utilities sum to about one; with another shaping, scale the learning rates.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `sigma_learning_rate`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.nes(32, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    shaping = shaping_of(shaping, nes_utilities)
    numbers = {"sigma": sigma, "learning_rate": learning_rate, "sigma_learning_rate": sigma_learning_rate}

    def init(key, params, **given) -> State:
        params = checks.params(params)
        return State(mean=params, **begin(key, params, numbers, given))

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)
        first, second = diagonal.moments(state, weights, blocks, comm)
        mean = diagonal.moved(state.mean, state.learning_rate * state.sigma, first)
        slope = 0.5 * (diagonal.mean_square(second) - jnp.sum(weights))  # sum_i w_i (|z_i|^2 / n - 1) / 2
        sigma = state.sigma * jnp.exp(state.sigma_learning_rate * slope)
        new = advance(state, numbers, {"mean": mean, "sigma": sigma}, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma, trees.norm(first) * (1 / state.sigma))

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=deviations.diagonal)
