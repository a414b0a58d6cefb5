"""The cross-entropy method with a diagonal Gaussian and additive variance noise.

Szita, Lorincz: "Learning Tetris Using the Noisy Cross-Entropy Method", Neural Computation 18 (2006) 2936-2941; the
update as in Thiery, Scherrer: "Improvements on Learning Tetris with Cross Entropy", ICGA Journal 32 (2009) 23-33.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes import checks, diagonal, trees
from jaxes.instances import shared
from jaxes.schedules import Number, follow, start
from jaxes.shaping import top
from jaxes.strategy import Strategy, summarize


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: Any  # like the mean, f32 or wider: standard deviation of each coordinate
    variance_noise: jax.Array  # float[]: added to the variance of each coordinate


@shared
def cem(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    elite_fraction: float = 0.1,
    variance_noise: Number = 0.0,
    blocks: int = 1,
) -> Strategy:
    """The cross-entropy method.

    Without noise the variance soon collapses; a constant one is the robust choice on Tetris (population 100, sigma 10,
    `variance_noise=4.0`), and `lambda t: jnp.maximum(5 - t / 10, 0)` Szita and Lorincz's decreasing one.

    Args:
        population_size: members per generation, 2 or more.
        sigma: initial standard deviation of every coordinate, in units of the parameters.
        elite_fraction: the part of the population that the Gaussian is fitted to; in (0, 1].
        variance_noise: added to the VARIANCE of each coordinate in every generation; a number or an optax schedule.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `variance_noise`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.cem(100, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=20)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    select = top(checks.elite_count(elite_fraction, population_size))
    default, noise = sigma, variance_noise

    def init(key, params, *, sigma=None, variance_noise=None) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        first = start("sigma", sigma, default, dtype, exclusive=True)
        return State(
            key=checks.key(key),
            step=jnp.int32(0),
            mean=params,
            sigma=jax.tree.map(lambda x: jnp.full(x.shape, first), params),
            variance_noise=start("variance_noise", variance_noise, noise, dtype),
        )

    def ask(state, ids=None):
        return diagonal.members(state, ids, population_size)

    def tell(state, fitness):
        fitness = checks.fitness(fitness, population_size, state.variance_noise.dtype)
        first, second = diagonal.moments(state, select(fitness), blocks)
        mean = diagonal.moved(state.mean, state.sigma, first)
        # Biased variance of the elite, E[x^2] - E[x]^2 in units of the old one and never below zero, plus the noise.
        spread = jax.tree.map(lambda square, z: jnp.maximum(square - z**2, 0), second, first)
        fit = lambda s, v: jnp.sqrt(s**2 * v + state.variance_noise)
        sigma = jax.tree.map(fit, state.sigma, spread)
        some = ~jnp.all(jnp.isnan(fitness))
        mean, sigma = trees.where(some, (mean, sigma), (state.mean, state.sigma))
        step = state.step + 1
        info = summarize(fitness, state.mean, mean, state.sigma)
        variance_noise = follow(noise, state.variance_noise, step)
        return state._replace(step=step, mean=mean, sigma=sigma, variance_noise=variance_noise), info

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)
