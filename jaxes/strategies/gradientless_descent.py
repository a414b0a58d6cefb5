"""Gradientless descent: normal members at many radii around the best one so far, which gives way to a better one only.

Golovin, Karro, Kochanski, Lee, Song, Zhang: "Gradientless Descent: High-Dimensional Zeroth-Order Optimization", ICLR
2020, arXiv:1911.06317, Algorithm 1 (GLD-Search) with a normal sampling distribution; with a schedule that halves sigma
every so often it is Algorithm 2 (GLD-Fast).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm
from jaxes.schedules import Number, follow_all, start
from jaxes.strategies.parts import populations
from jaxes.strategy import Strategy, summarize
from jaxes.support import checks, keys, trees
from jaxes.support.memoized import memoized


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    sigma: jax.Array  # float[]: the largest standard deviation, R
    ratio: jax.Array  # float[]: the smallest one in units of the largest, r / R
    best: Any  # the parameters: the best member so far, x_t
    best_fitness: jax.Array  # float[]: its fitness, -inf before any


@memoized
def gradientless_descent(
    population_size: int, sigma: Number = 0.1, *, ratio: Number = 1e-3, blocks: int = 1
) -> Strategy:
    """Gradientless descent by a sweep over radii. Member 0 of the first generation is the start itself.

    Args:
        population_size: members per generation, 2 or more: so many radii, evenly spaced on a logarithmic scale. The
            paper halves from one to the next, which makes it `1 + log2(1 / ratio)`.
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

    def init(key, params, *, sigma=None, ratio=None) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        return State(
            key=checks.key(key),
            step=jnp.int32(0),
            sigma=start("sigma", sigma, numbers["sigma"], dtype, exclusive=True),
            ratio=start("ratio", ratio, numbers["ratio"], dtype, exclusive=True),
            best=params,
            best_fitness=jnp.asarray(-jnp.inf, dtype),
        )

    def make(state, ids):
        # Algorithm 1, line 4: radii from R down to r.
        place = ids.astype(state.sigma.dtype) * (1 / (population_size - 1))
        radii = state.sigma * state.ratio**place
        scales = jnp.where((state.step == 0) & (ids == 0), 0, radii)
        return populations.perturbed(keys.of_generation(state), ids, populations.repeated(state.best, ids.size), scales)

    def ask(state, ids=None):
        return populations.members(ids, population_size, lambda which: make(state, which))

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness = checks.fitness(fitness, population_size, state.sigma.dtype)
        # Algorithm 1, line 9: the best of x_t and all x_t + v_k.
        best, best_fitness = populations.record(state, fitness, lambda which: make(state, which))
        step = state.step + 1
        info = summarize(fitness, state.best, best, state.sigma)
        numbers_now = follow_all(numbers, state, step)
        return state._replace(step=step, best=best, best_fitness=best_fitness, **numbers_now), info

    return Strategy(init, ask, tell, lambda state: state.best, population_size, blocks)
