"""Limited-memory matrix adaptation: the matrix of MA-ES as a product of a few rank-one factors.

Loshchilov, Glasmachers, Beyer: "Large Scale Black-Box Optimization by Limited-Memory Matrix Adaptation", IEEE
Transactions on Evolutionary Computation 23 (2019) 353-358, arXiv:1705.06693: Algorithm 1, with its line numbers.
The paper's rates of the paths, 2 lambda / n and lambda / n, exceed one in few dimensions; there they are one.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts import flat
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    path_sigma: jax.Array  # float[n]: evolution path of the step size
    directions: jax.Array  # float[memory, n]: m_i, the vectors of the rank-one factors, fast ones first
    c_sigma: jax.Array  # float[]: rate of the step size's path
    d_sigma: jax.Array  # float[]: damping of the step size
    c_d: jax.Array  # float[]: weight of the first direction
    base_d: jax.Array  # float[]: factor by which the weight falls from one direction to the next
    c_c: jax.Array  # float[]: rate of the first direction's update
    base_c: jax.Array  # float[]: factor by which the rate falls from one direction to the next


@strategy_factory
def lm_ma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    memory: int | None = None,
    c_sigma: Number | None = None,
    d_sigma: Number = 2.0,
    c_d: Number | None = None,
    base_d: Number = 1.5,
    c_c: Number | None = None,
    base_c: Number = 4.0,
    blocks: int = 1,
) -> Strategy:
    """Limited-memory matrix adaptation evolution strategy.

    The parameters are raveled into one vector inside; memory and time grow with `memory * n`.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        memory: how many direction vectors are kept; 4 + floor(3 ln n) by default.
        c_sigma: rate of the step size's path, a number or an optax schedule; min(2 population_size / n, 1) by default.
        d_sigma: damping of the step size.
        c_d: weight of direction 0, 1 / n by default; direction i has the weight `c_d / base_d**i`.
        c_c: rate of direction 0, min(population_size / n, 1) by default; direction i has the rate `c_c / base_c**i`.
        base_d, base_c: by how much weight and rate fall from one direction to the next.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `c_sigma`, `d_sigma`, `c_d`, `base_d`, `c_c`, `base_c`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.lm_ma_es(16, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(50))
    >>> state.directions.shape
    (15, 50)
    >>> state, infos = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=300)
    >>> bool(infos.best[-1] > -1e-3)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    if memory is not None:
        checks.count("memory", memory)
    numbers = {
        "sigma": sigma,
        "c_sigma": c_sigma,
        "d_sigma": d_sigma,
        "c_d": c_d,
        "base_d": base_d,
        "c_c": c_c,
        "base_c": base_c,
    }
    table, _ = paths.logarithmic(population_size, edge=population_size // 2 + 0.5)

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        kept = 4 + int(3 * math.log(n)) if memory is None else memory
        usual = {"c_sigma": min(2 * population_size / n, 1.0), "c_d": 1 / n, "c_c": min(population_size / n, 1.0)}
        fields = begin(key, params, numbers, given, usual, ("sigma", "d_sigma", "base_d", "base_c"))
        return State(mean=params, path_sigma=jnp.zeros(n, dtype), directions=jnp.zeros((kept, n), dtype), **fields)

    def ask(state, ids=None):
        n = state.path_sigma.shape[0]
        steps = lambda which: by_chunks(lambda z: shaped(state, z), flat.normals(state, which, n))  # lines 5-8
        return flat.members(state, ids, population_size, steps)

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.path_sigma.shape[0]
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(table, order)
        block = lambda part: ((), flat.times(part.of(weights), flat.normals(state, part, n)))
        _, white = over_blocks(block, population_size, blocks, comm)
        # The factors are linear, so they turn the mean of the z into the mean of the d.
        mean = flat.moved(state.mean, state.sigma * shaped(state, white[None])[0])  # line 10
        path = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)  # line 11
        rate = falling(state.c_c, state.base_c, state.directions)[:, None]
        directions = paths.cumulated(state.directions, rate, mu_eff, white[None])  # lines 12-13
        sigma = state.sigma * jnp.exp(state.c_sigma / state.d_sigma * (jnp.sum(path**2) * (1 / n) - 1))  # line 14

        fields = {"mean": mean, "sigma": sigma, "path_sigma": path, "directions": directions}
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def falling(first: jax.Array, base: jax.Array, directions: jax.Array) -> jax.Array:
    """A weight or rate of each direction, float[memory]: `first / base**i`."""
    return first * base ** -jnp.arange(directions.shape[0], dtype=directions.dtype)


def shaped(state: State, z: jax.Array) -> jax.Array:
    """Rows z as steps d: `d <- (1 - c) d + c m (m . d)` for each direction m that has been learned (lines 6-8)."""
    count = state.directions.shape[0]
    rates = jnp.where(
        jnp.arange(count, dtype=jnp.int32) < state.step, falling(state.c_d, state.base_d, state.directions), 0
    )

    def factor(d, of):
        c, m = of
        return (1 - c) * d + (c * flat.times(d, m))[:, None] * m[None], None

    return lax.scan(factor, z, (rates, state.directions))[0]
