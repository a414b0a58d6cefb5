"""Cost-reduced fast-moving natural evolution strategy: covariance sigma^2 D (I + v v^T) D, which speeds up on slopes.

Nomura, Ono: "Fast Moving Natural Evolution Strategy for High-Dimensional Problems", CEC 2022, arXiv:2201.11422:
Algorithm 1; weights and learning rates as in Nomura, Ono: "Natural Evolution Strategy for Unconstrained and Implicitly
Constrained Problems with Ridge Structure", SSCI 2021, arXiv:2108.09455, for populations without infeasible members.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts import flat, stretched
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, trees

LEAST = 0.1  # part of an entry of D that one generation leaves at least; the paper's update could make D negative


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    sigma: jax.Array  # float[]: the step size
    d: jax.Array  # float[n]: the diagonal D; D (I + v v^T) D has determinant one from the first update on
    v: jax.Array  # float[n]: the direction
    path_sigma: jax.Array  # float[n]: evolution path that says whether the search moves
    path_c: jax.Array  # float[n]: evolution path of the covariance
    learning_rate: jax.Array  # float[]: eta_m, learning rate of the mean
    eta_move: jax.Array  # float[]: learning rate of log(sigma) while the search moves
    eta_stag: jax.Array  # float[]: learning rate of log(sigma) while it stagnates
    eta_conv: jax.Array  # float[]: learning rate of log(sigma) while it converges
    eta_b: jax.Array  # float[]: learning rate of D and v
    c_1: jax.Array  # float[]: learning rate of the rank-one update
    c_sigma: jax.Array  # float[]: rate of path_sigma
    c_c: jax.Array  # float[]: rate of path_c
    alpha: jax.Array  # float[]: how steeply the weights of a moving search grow with the members' distance


@strategy_factory
def cr_fm_nes(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    learning_rate: Number = 1.0,
    eta_move: Number = 1.0,
    eta_stag: Number | None = None,
    eta_conv: Number | None = None,
    eta_b: Number | None = None,
    c_1: Number | None = None,
    c_sigma: Number | None = None,
    c_c: Number | None = None,
    alpha: Number | None = None,
    blocks: int = 1,
) -> Strategy:
    """CR-FM-NES: natural gradients of a diagonal and one direction, in linear time and memory.

    The parameters are raveled into one vector inside. Members 2i and 2i+1 are mirror images of each other.

    Args:
        population_size: members per generation, an even number; the papers use up to n of them.
        sigma: initial step size, in units of the parameters.
        learning_rate: learning rate of the mean, a number or an optax schedule.
        eta_move, eta_stag, eta_conv: learning rates of log(sigma) while the search moves, stagnates or converges; the
            length of an evolution path tells which of these it does.
        eta_b: learning rate of D and v.
        c_1: learning rate of the rank-one update; zero by default if n is 5 or less, where the paper's formula is
            negative.
        c_sigma, c_c: rates of the evolution paths.
        alpha: while the search moves, a member's weight is multiplied by exp(alpha * distance from the mean).
        blocks: the population is drawn and summed in that many parts, one at a time, twice a generation.

    Other defaults are the papers' for n parameters.

    Numbers that `init` takes: `sigma` and the nine rates.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.cr_fm_nes(12, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(10))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(10.0 ** jnp.linspace(0, 3, 10) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=300)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, antithetic=True, blocks=blocks)
    checks.adapted("sigma", sigma)
    numbers = {
        "sigma": sigma,
        "learning_rate": learning_rate,
        "eta_move": eta_move,
        "eta_stag": eta_stag,
        "eta_conv": eta_conv,
        "eta_b": eta_b,
        "c_1": c_1,
        "c_sigma": c_sigma,
        "c_c": c_c,
        "alpha": alpha,
    }
    units = population_size // 2
    raw = np.maximum(0, np.log(population_size / 2 + 1) - np.log(np.arange(1, population_size + 1)))
    table = raw / raw.sum()
    table_mu_eff = float(1 / (table**2).sum())

    def init(key, params, **given) -> State:
        params = checks.params(params)
        n, dtype = trees.size(params), trees.number_dtype(params)
        fields = begin(key, params, numbers, given, defaults(n, population_size, table_mu_eff))
        return State(mean=params, **stretched.begin(key, n, dtype), **fields)

    def ask(state, ids=None):
        return stretched.members(state, ids, population_size, antithetic=True)

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.d.shape[0]
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        some = ~jnp.all(jnp.isnan(fitness))
        hat, mu_eff = paths.select(table, order)

        def first_pass(part):
            z = flat.normals(state, part, n)
            return jnp.sum(z**2, axis=1), flat.times(part.of(hat[0::2] - hat[1::2]), z)

        square, white = over_blocks(first_pass, units, blocks, comm)
        path_sigma = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)
        length = flat.norm(path_sigma) * (1 / paths.expected_length(n))
        moving = length >= 1

        # Weights that favor distant members while the search moves; the largest exponent is zero, against overflow.
        distance = jnp.repeat(jnp.sqrt(square), 2)
        farthest = jnp.max(jnp.where(hat > 0, distance, 0))
        far = hat * jnp.exp(jnp.minimum(state.alpha * (distance - farthest), 0))
        far = far * (1 / jnp.where(some, jnp.sum(far), 1))
        weights = jnp.where(moving, far, hat) - 1 / population_size

        def second_pass(part):
            z = flat.normals(state, part, n)
            pull, both = part.of(weights[0::2] - weights[1::2]), part.of(weights[0::2] + weights[1::2])
            return (), (flat.times(pull, z), *stretched.score(both, stretched.stretch(z, state.v), state.v))

        _, (pulled, p_mu, q_mu) = over_blocks(second_pass, units, blocks, comm)
        step_y = state.d * stretched.stretch(pulled[None], state.v)[0]
        mean = flat.moved(state.mean, state.learning_rate * state.sigma * step_y)
        path_c = paths.cumulated(state.path_c, state.c_c, mu_eff, step_y)

        one = jnp.where(moving, state.c_1, 0)[None]
        p_one, q_one = stretched.score(one, (path_c * (1 / state.d))[None], state.v)
        dv, relative = stretched.natural(state.eta_b * p_mu + p_one, state.eta_b * q_mu + q_one, state.v)
        v = state.v + dv
        d = state.d * jnp.maximum(1 + relative, LEAST)
        d = d * jnp.exp(-jnp.mean(jnp.log(d)) - jnp.log1p(jnp.sum(v**2)) * (0.5 / n))  # determinant one

        g_sigma = jnp.sum(weights * jnp.repeat(square, 2)) * (1 / n)
        still = jnp.where(length >= 0.1, state.eta_stag, state.eta_conv)
        rate = jnp.where(moving, jnp.where(g_sigma < 0, 0, state.eta_move), still)
        sigma = state.sigma * jnp.exp(0.5 * rate * g_sigma)

        fields = {"mean": mean, "sigma": sigma, "d": d, "v": v, "path_sigma": path_sigma, "path_c": path_c}
        new = advance(state, numbers, fields, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def defaults(n: int, population_size: int, mu_eff: float) -> dict[str, float]:
    """The papers' rates for n parameters, with every member feasible."""
    size = population_size
    return {
        "eta_stag": math.tanh((0.024 * size + 0.7 * n + 20) / (n + 12)),
        "eta_conv": 2 * math.tanh((0.025 * size + 0.75 * n + 10) / (n + 4)),
        "eta_b": math.tanh((min(0.02 * size, 3 * math.log(n)) + 5) / (0.23 * n + 25)),
        "c_1": max(n - 5, 0) / 6 * 2 / ((n + 1.3) ** 2 + mu_eff),
        "c_sigma": (mu_eff + 2) / (n + mu_eff + 5),
        "c_c": (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),
        "alpha": inverse_h(n) * min(1.0, math.sqrt(size / n)),
    }


def inverse_h(n: int) -> float:
    """The a with (1 + a^2) exp(a^2 / 2) / 0.24 - 10 = n, by bisection."""
    low, high = 0.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        if (1 + middle**2) * math.exp(middle**2 / 2) / 0.24 - 10 < n:
            low = middle
        else:
            high = middle
    return low
