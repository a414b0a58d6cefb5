"""Rank-m evolution strategy: isotropic steps, stretched along a few evolution paths of different ages.

Li, Zhang: "A Simple Yet Efficient Evolution Strategy for Large-Scale Black-Box Optimization", IEEE Transactions on
Evolutionary Computation 22 (2018) 637-646, doi:10.1109/TEVC.2017.2765682: Algorithms 2 (which paths are kept) and 3,
with the rank-based success rule of Algorithm 1 for the step size.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.shaping import finite
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, ranking, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    path: jax.Array  # float[n]: p, evolution path
    directions: jax.Array  # float[memory, n]: p_i, paths that were kept, old ones first
    born: jax.Array  # int32[memory]: the generation that each of them comes from
    success: jax.Array  # float[]: s, cumulative success of the last generations
    parents: jax.Array  # float[population_size // 2]: fitness of the last generation's best half, best first
    known: jax.Array  # bool[]: whether there was a last generation
    c_c: jax.Array  # float[]: rate of the path
    c_cov: jax.Array  # float[]: weight of a direction
    c_s: jax.Array  # float[]: rate at which the success is averaged
    q_star: jax.Array  # float[]: the success at which the step size stays as it is
    d_sigma: jax.Array  # float[]: damping of the step size
    gap: jax.Array  # float[]: T, generations between two kept paths


@strategy_factory
def rm_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    memory: int = 2,
    c_c: Number | None = None,
    c_cov: Number | None = None,
    c_s: Number = 0.3,
    q_star: Number = 0.3,
    d_sigma: Number = 1.0,
    gap: Number | None = None,
    blocks: int = 1,
) -> Strategy:
    """Rank-m evolution strategy.

    The parameters are raveled into one vector inside; memory and time grow with `memory * n`. The step size depends on
    how the best members of this generation rank among the best of the last one, so `tell` compares the fitness of two
    generations.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        memory: m, how many evolution paths are kept; 1 is the paper's rank-one evolution strategy.
        c_c: rate of the path, a number or an optax schedule; 2 / (n + 7) by default.
        c_cov: weight of a direction in [0, 1]; 1 / (3 sqrt n + 5) by default.
        c_s: rate at which the success is averaged.
        q_star: the success, between -1 and 1, at which the step size stays as it is.
        d_sigma: damping of the step size.
        gap: how many generations lie between two kept paths; n by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `c_c`, `c_cov`, `c_s`, `q_star`, `d_sigma`, `gap`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.rm_es(10, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(20))
    >>> cigar = jaxes.minimize(lambda x: x[0] ** 2 + 100 * jnp.sum(x[1:] ** 2))
    >>> state, infos = jaxes.run(strategy, cigar, state, generations=300)
    >>> bool(infos.best[-1] > -1e-2)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    checks.count("memory", memory)
    mu = population_size // 2
    numbers = {"sigma": sigma, "c_c": c_c, "c_cov": c_cov, "c_s": c_s, "q_star": q_star, "d_sigma": d_sigma, "gap": gap}
    table, _ = paths.logarithmic(population_size, edge=mu + 1)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        usual = {"c_c": 2 / (n + 7), "c_cov": 1 / (3 * math.sqrt(n) + 5), "gap": float(n)}
        return State(
            mean=params,
            path=jnp.zeros(n, dtype),
            directions=jnp.zeros((memory, n), dtype),
            born=jnp.zeros(memory, jnp.int32),
            success=jnp.zeros((), dtype),
            parents=jnp.zeros(mu, dtype),
            known=jnp.asarray(False),
            **begin(key, params, numbers, given, usual, ("sigma", "d_sigma")),
        )

    def normals(state, which):
        """What members are made of: z, float[units, n], and r, float[units, memory], all standard normal."""
        n = state.path.shape[0]
        both = flat.normals(state, which, n + memory)
        return both[:, :n], both[:, n:]

    def shaped(state, z, r):
        """Algorithm 3, line 4: `a^m z + b sum_i a^(m - i) r_i p_i` with a^2 = 1 - c_cov, b^2 = c_cov."""
        c_cov = jnp.minimum(state.c_cov, 1)
        older = jnp.sqrt(1 - c_cov) ** jnp.arange(memory - 1, -1, -1, dtype=z.dtype)
        factors = jnp.sqrt(c_cov) * older
        return jnp.sqrt(1 - c_cov) ** memory * z + flat.times(r * factors[None], state.directions)

    def ask(state, ids=None):
        n = state.path.shape[0]
        row = lambda both: shaped(state, both[:, :n], both[:, n:])
        steps = lambda which: by_chunks(row, flat.normals(state, which, n + memory))
        return flat.members(state, ids, population_size, steps)

    def tell(state, fitness, comm: Comm = "blocks"):
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(table, order)

        def block(part):
            z, r = normals(state, part)
            return (), (flat.times(part.of(weights), z), flat.times(part.of(weights), r))

        _, (white, ends) = over_blocks(block, population_size, blocks, comm)
        step_y = shaped(state, white[None], ends[None])[0]  # linear in both
        mean = flat.moved(state.mean, state.sigma * step_y)
        path = paths.cumulated(state.path, state.c_c, mu_eff, step_y)
        directions, born = kept(state, path)

        # Algorithm 1, lines 8-11: how much better the new parents rank than the old ones, among both.
        parents = -jnp.sort(-finite(fitness))[:mu]
        first, last = ranking.tied_ranks(jnp.concatenate([state.parents, parents]))
        rank = 0.5 * (first + last).astype(fitness.dtype)
        ahead = jnp.asarray(table[:mu], fitness.dtype) * (rank[:mu] - rank[mu:])
        q = jnp.sum(ahead) * (1 / mu)
        success = (1 - state.c_s) * state.success + state.c_s * (q - state.q_star)
        success = jnp.where(state.known, success, state.success)
        sigma = state.sigma * jnp.exp(success * (1 / state.d_sigma))

        fields = {
            "mean": mean,
            "sigma": sigma,
            "path": path,
            "directions": directions,
            "born": born,
            "success": success,
            "parents": parents,
            "known": jnp.asarray(True),
        }
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def kept(state: State, path: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Algorithm 2: which paths are kept, about `gap` generations apart, and when they were born.

    The oldest path goes if all are more than `gap` generations apart, or if there are still empty places; otherwise the
    later one of the two that are nearest in time. The new path comes last.
    """
    memory = state.born.shape[0]
    place = jnp.arange(memory)
    if memory > 1:
        apart = state.born[1:] - state.born[:-1]
        full = state.step >= memory
        near = jnp.min(apart).astype(state.gap.dtype) <= state.gap
        out = jnp.where(full & near, jnp.argmin(apart) + 1, 0)
        source = jnp.where(place >= out, jnp.minimum(place + 1, memory - 1), place)
    else:
        source = place
    directions = state.directions[source].at[-1].set(path)
    return directions, state.born[source].at[-1].set(state.step)
