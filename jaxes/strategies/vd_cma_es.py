"""VD-CMA: CMA-ES with the covariance D (I + v v^T) D, a diagonal and one direction, in linear time and memory.

Akimoto, Auger, Hansen: "Comparison-Based Natural Gradient Optimization in High Dimension", GECCO 2014, 373-380,
doi:10.1145/2576768.2598258: Algorithm 1 and the parameters of its section 5 (cumulative step-size adaptation).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts import flat, stretched
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees

LARGEST_CHANGE = 0.7  # in one generation: of v in units of |v|, and of an entry of D in units of this entry


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    d: jax.Array  # float[n]: the diagonal D
    v: jax.Array  # float[n]: the direction
    path_sigma: jax.Array  # float[n]: evolution path of the step size
    path_c: jax.Array  # float[n]: evolution path of the covariance
    c_sigma: jax.Array  # float[]: rate of the step size's path
    d_sigma: jax.Array  # float[]: damping of the step size
    c_c: jax.Array  # float[]: rate of the covariance's path
    c_1: jax.Array  # float[]: learning rate of the rank-one update
    c_mu: jax.Array  # float[]: learning rate of the rank-mu update


@strategy_factory
def vd_cma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    c_sigma: Number | None = None,
    d_sigma: Number | None = None,
    c_c: Number | None = None,
    c_1: Number | None = None,
    c_mu: Number | None = None,
    blocks: int = 1,
) -> Strategy:
    """CMA-ES with the covariance D (I + v v^T) D.

    The parameters are raveled into one vector inside; memory and time are linear in n.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        c_sigma, d_sigma, c_c, c_1, c_mu: rates, numbers or optax schedules; the paper's for n parameters by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma` and the five rates.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.vd_cma_es(12, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(10))
    >>> cigar = jaxes.minimize(lambda x: 1e4 * jnp.sum((x - x.mean()) ** 2) + 10 * x.mean() ** 2)
    >>> state, infos = jaxes.run(strategy, cigar, state, generations=400)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {"sigma": sigma, "c_sigma": c_sigma, "d_sigma": d_sigma, "c_c": c_c, "c_1": c_1, "c_mu": c_mu}
    table, table_mu_eff = paths.logarithmic(population_size)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        fields = begin(key, params, numbers, given, defaults(n, table_mu_eff), ("sigma", "d_sigma"))
        return State(mean=params, **stretched.begin(key, n, dtype), **fields)

    def ask(state, ids=None):
        return stretched.members(state, ids, population_size)

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.d.shape[0]
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(table, order)

        def block(part):
            z, w = flat.normals(state, part, n), part.of(weights)
            return (), (flat.times(w, z), *stretched.score(w, stretched.stretch(z, state.v), state.v))

        _, (white, p_mu, q_mu) = over_blocks(block, population_size, blocks, comm)
        step_y = state.d * stretched.stretch(white[None], state.v)[0]
        mean = flat.moved(state.mean, state.sigma * step_y)
        path_sigma = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)
        sigma, _ = paths.step_size(state.sigma, path_sigma, state.c_sigma, state.d_sigma)
        moving = (jnp.sum(path_sigma**2) < (2 + 4 / (n + 1)) * n).astype(fitness.dtype)
        path_c = paths.cumulated(state.path_c, state.c_c, mu_eff, moving * step_y)

        one = (moving * state.c_1)[None]
        p_one, q_one = stretched.score(one, (path_c * (1 / state.d))[None], state.v)
        dv, relative = stretched.natural(state.c_mu * p_mu + p_one, state.c_mu * q_mu + q_one, state.v)
        tiny = jnp.finfo(dv.dtype).tiny
        most_v = flat.norm(state.v) / jnp.maximum(flat.norm(dv), tiny)
        most_d = 1 / jnp.maximum(jnp.max(jnp.abs(relative)), tiny)
        factor = jnp.minimum(1, LARGEST_CHANGE * jnp.minimum(most_v, most_d))
        v, d = state.v + factor * dv, state.d * (1 + factor * relative)

        fields = {"mean": mean, "sigma": sigma, "d": d, "v": v, "path_sigma": path_sigma, "path_c": path_c}
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def defaults(n: int, mu_eff: float) -> dict[str, float]:
    """The paper's rates for n parameters: as for CMA-ES, but faster, because there are fewer numbers to learn."""
    faster = max((n - 5) / 6, 0.5)
    c_sigma = 0.5 / (math.sqrt(n / mu_eff) + 1)
    c_1 = min(1.0, faster * 2 / ((n + 1.3) ** 2 + mu_eff))
    return {
        "c_sigma": c_sigma,
        "d_sigma": paths.damping(n, mu_eff, c_sigma),
        "c_c": (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),
        "c_1": c_1,
        "c_mu": min(1 - c_1, faster * 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff)),
    }
