"""Matrix adaptation evolution strategy: CMA-ES without a covariance matrix, its root, or any decomposition.

Beyer, Sendhoff: "Simplify Your Covariance Matrix Adaptation Evolution Strategy", IEEE Transactions on Evolutionary
Computation 21 (2017) 746-759, doi:10.1109/TEVC.2017.2680320: the algorithm of Fig. 3, with line numbers of that figure.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import deviations, flat
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    matrix: jax.Array  # float[n, n]: M; the covariance is sigma^2 M M^T
    path_sigma: jax.Array  # float[n]: s, evolution path of the step size and of M
    c_sigma: jax.Array  # float[]: rate of the path
    d_sigma: jax.Array  # float[]: damping of the step size
    c_1: jax.Array  # float[]: learning rate of the rank-one update
    c_mu: jax.Array  # float[]: learning rate of the rank-mu update, the paper's c_w


@strategy_factory
def ma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    c_sigma: Number | None = None,
    d_sigma: Number | None = None,
    c_1: Number | None = None,
    c_mu: Number | None = None,
    blocks: int = 1,
) -> Strategy:
    """Matrix adaptation evolution strategy.

    The parameters are raveled into one vector inside; memory and time grow as for n x n matrices (products only), so
    n is at most 10,000.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        c_sigma, d_sigma, c_1, c_mu: rates, numbers or optax schedules; the paper's for n parameters by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma` and the four rates.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.ma_es(8, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(4))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(10.0 ** jnp.arange(4) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=150)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {"sigma": sigma, "c_sigma": c_sigma, "d_sigma": d_sigma, "c_1": c_1, "c_mu": c_mu}
    table, table_mu_eff = paths.logarithmic(population_size)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        n = flat.check_matrix("ma_es", params, dtype)
        fields = begin(key, params, numbers, given, paths.rates(n, table_mu_eff), ("sigma", "d_sigma"))
        return State(mean=params, matrix=jnp.eye(n, dtype=dtype), path_sigma=jnp.zeros(n, dtype), **fields)

    def ask(state, ids=None):
        n = state.path_sigma.shape[0]
        steps = lambda which: by_chunks(lambda z: flat.times(z, state.matrix.T), flat.normals(state, which, n))  # M4-M5
        return flat.members(state, ids, population_size, steps)  # M6

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.path_sigma.shape[0]
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(table, order)  # M8

        def block(part):
            z, w = flat.normals(state, part, n), part.of(weights)
            return (), (flat.times(w, z), flat.times((w[:, None] * z).T, z))

        _, (white, outer) = over_blocks(block, population_size, blocks, comm)
        mean = flat.moved(state.mean, state.sigma * flat.times(state.matrix, white))  # M9
        path = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)  # M10
        eye = jnp.eye(n, dtype=path.dtype)
        rank_one, rank_mu = path[:, None] * path[None, :] - eye, outer - eye
        growth = eye + 0.5 * state.c_1 * rank_one + 0.5 * state.c_mu * rank_mu
        matrix = flat.times(state.matrix, growth)  # M11
        sigma, _ = paths.step_size(state.sigma, path, state.c_sigma, state.d_sigma)  # M12

        fields = {"mean": mean, "sigma": sigma, "matrix": matrix, "path_sigma": path}
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    full = lambda state: deviations.full(state, state.matrix)
    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=full)
