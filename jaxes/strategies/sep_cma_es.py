"""Separable CMA-ES: the covariance matrix is diagonal, so it is learned faster, in linear time and memory.

Ros, Hansen: "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity", PPSN X (2008) 296-305,
doi:10.1007/978-3-540-87700-4_30: the (mu/mu_w, lambda)-CMA-ES of its section 2 with the diagonal of eq. 5 and
a learning rate (n + 2) / 3 times as large.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import deviations, flat
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    variance: jax.Array  # float[n]: the diagonal of C
    path_sigma: jax.Array  # float[n]: evolution path of the step size
    path_c: jax.Array  # float[n]: evolution path of the covariance
    c_sigma: jax.Array  # float[]: rate of the step size's path
    d_sigma: jax.Array  # float[]: damping of the step size
    c_c: jax.Array  # float[]: rate of the covariance's path
    c_cov: jax.Array  # float[]: learning rate of the covariance, at most one
    mu_cov: jax.Array  # float[]: the part 1 / mu_cov of c_cov is the rank-one update, the rest the rank-mu update


@strategy_factory
def sep_cma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    c_sigma: Number | None = None,
    d_sigma: Number | None = None,
    c_c: Number | None = None,
    c_cov: Number | None = None,
    mu_cov: Number | None = None,
    blocks: int = 1,
) -> Strategy:
    """Separable CMA-ES: time and memory are linear in the parameters, whose correlations are not learned.

    The parameters are raveled into one vector inside.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        c_sigma, d_sigma, c_c, c_cov, mu_cov: rates, numbers or optax schedules; the paper's for n parameters by
            default. A `c_cov` above one counts as one.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma` and the five rates.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.sep_cma_es(8, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(4))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(10.0 ** jnp.arange(4) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=150)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {"sigma": sigma, "c_sigma": c_sigma, "d_sigma": d_sigma, "c_c": c_c, "c_cov": c_cov, "mu_cov": mu_cov}
    table, table_mu_eff = paths.logarithmic(population_size, edge=population_size // 2 + 1)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        fields = begin(key, params, numbers, given, defaults(n, table_mu_eff), ("sigma", "d_sigma", "mu_cov"))
        zero = jnp.zeros(n, dtype)
        return State(mean=params, variance=jnp.ones(n, dtype), path_sigma=zero, path_c=zero, **fields)

    def ask(state, ids=None):
        deviation = jnp.sqrt(state.variance)
        steps = lambda which: flat.normals(state, which, deviation.shape[0]) * deviation[None]
        return flat.members(state, ids, population_size, steps)

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.variance.shape[0]
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(table, order)

        def block(part):
            z, w = flat.normals(state, part, n), part.of(weights)
            return (), (flat.times(w, z), flat.times(w, z**2))

        _, (white, square) = over_blocks(block, population_size, blocks, comm)
        step_y = jnp.sqrt(state.variance) * white
        mean = flat.moved(state.mean, state.sigma * step_y)
        path_sigma = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)
        sigma, length = paths.step_size(state.sigma, path_sigma, state.c_sigma, state.d_sigma)
        moving = paths.moving(length, state.c_sigma, state.step, n)
        path_c = paths.cumulated(state.path_c, state.c_c, mu_eff, moving * step_y)
        c_cov, one = jnp.minimum(state.c_cov, 1), jnp.minimum(1 / state.mu_cov, 1)
        learned = one * path_c**2 + (1 - one) * state.variance * square  # eq. 5
        variance = (1 - c_cov) * state.variance + c_cov * learned

        fields = {"mean": mean, "sigma": sigma, "variance": variance, "path_sigma": path_sigma, "path_c": path_c}
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma * jnp.sqrt(state.variance))

    separable = lambda state: deviations.separable(state, state.variance)
    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=separable)


def defaults(n: int, mu_eff: float) -> dict[str, float]:
    """The paper's rates for n parameters."""
    c_sigma = (mu_eff + 2) / (n + mu_eff + 3)
    rank_one = 2 / (n + math.sqrt(2)) ** 2
    rank_mu = min(1.0, (2 * mu_eff - 1) / ((n + 2) ** 2 + mu_eff))
    return {
        "c_sigma": c_sigma,
        "d_sigma": paths.damping(n, mu_eff, c_sigma),
        "c_c": 4 / (n + 4),
        "c_cov": min(1.0, (n + 2) / 3 * (rank_one / mu_eff + (1 - 1 / mu_eff) * rank_mu)),
        "mu_cov": mu_eff,
    }
