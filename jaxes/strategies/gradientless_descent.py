"""Gradientless descent: normal members at many radii around the best one so far, which only a better one replaces.

Golovin, Karro, Kochanski, Lee, Song, Zhang: "Gradientless Descent: High-Dimensional Zeroth-Order Optimization", ICLR
2020, arXiv:1911.06317, Algorithm 1 (GLD-Search) with a normal sampling distribution; with a schedule that halves sigma
every so often it is Algorithm 2 (GLD-Fast).
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
    sigma: jax.Array  # float[]: the largest standard deviation, R
    ratio: jax.Array  # float[]: the smallest one in units of the largest, r / R
    best: Any  # the parameters: the best member so far, x_t
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@strategy_factory
def gradientless_descent(
    population_size: int, sigma: Number = 0.1, *, ratio: Number = 1e-3, blocks: int = 1
) -> Strategy:
    """Gradientless descent by a sweep over radii. Member 0 of the first generation is the start itself.

    Args:
        population_size: members per generation, 2 or more; each has its own radius, evenly spaced on a logarithmic
            scale. The paper halves the radius from one to the next, which takes `1 + log2(1 / ratio)` members.
        sigma: the largest standard deviation of a member around the best one, in units of the parameters; a number or
            an optax schedule.
        ratio: the smallest standard deviation divided by the largest; a number or an optax schedule.
        blocks: the population is evaluated in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `ratio`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.gradientless_descent(11, 1.0)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=100)
    >>> bool(jnp.sum(strategy.recommend(state) ** 2) < 1e-4)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    numbers = {"sigma": sigma, "ratio": ratio}

    def init(key, params, **given) -> State:
        return State(**populations.begin(key, params, numbers, given, exclusive=numbers))

    def make(state, ids):
        # Algorithm 1, line 4: radii from R down to r.
        exponent = ids.astype(state.sigma.dtype) * (1 / (population_size - 1))
        return populations.around(state, state.best, ids, state.sigma * state.ratio**exponent)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        # Algorithm 1, line 9: the best of x_t and all x_t + v_k.
        return populations.tell_best(state, fitness, population_size, make, numbers)

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
