"""Exponential natural evolution strategy: a full Gaussian, updated along the natural gradient in exponential form.

Glasmachers, Schaul, Sun, Wierstra, Schmidhuber: "Exponential Natural Evolution Strategies", GECCO 2010; Wierstra,
Schaul, Glasmachers, Sun, Peters, Schmidhuber: "Natural Evolution Strategies", JMLR 15 (2014) 949-980, Algorithm 5 and
Table 1. Members are mean + sigma * B z, as in the first paper; the second one has B^T z with the same update of B.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.shaping import Shaping, nes_utilities, shaped, shaping_of
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
    shape: jax.Array  # float[n, n]: B, of determinant one; the covariance is sigma^2 B B^T
    learning_rate: jax.Array  # float[]: learning rate of the mean
    sigma_learning_rate: jax.Array  # float[]: learning rate of log(sigma)
    shape_learning_rate: jax.Array  # float[]: learning rate of log(B)


@strategy_factory
def xnes(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    learning_rate: Number = 1.0,
    sigma_learning_rate: Number | None = None,
    shape_learning_rate: Number | None = None,
    shaping: Shaping | str | None = None,
    blocks: int = 1,
) -> Strategy:
    """Exponential natural evolution strategy.

    The parameters are raveled into one vector inside; memory and time grow as for n x n matrices (products
    only), so n is at most 10,000.

    Args:
        population_size: members per generation, 2 or more; the paper's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters.
        learning_rate: learning rate of the mean, a number or an optax schedule.
        sigma_learning_rate: learning rate of log(sigma), a number or an optax schedule; (9 + 3 ln n) / (5 n sqrt n) by
            default.
        shape_learning_rate: learning rate of log(B), where B is the shape; likewise.
        shaping: from fitness to weights, which are summed; `jaxes.shaping.nes_utilities()` by default.
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma`, `learning_rate`, `sigma_learning_rate`, `shape_learning_rate`.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.xnes(8, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> ridge = jaxes.minimize(lambda x: 100 * (x[0] - x[1]) ** 2 + jnp.sum(x**2))
    >>> state, infos = jaxes.run(strategy, ridge, state, generations=150)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    shaping = shaping_of(shaping, nes_utilities)
    numbers = {
        "sigma": sigma,
        "learning_rate": learning_rate,
        "sigma_learning_rate": sigma_learning_rate,
        "shape_learning_rate": shape_learning_rate,
    }

    def init(key, params, **given) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        n = flat.check_matrix("xnes", params, dtype)
        rate = (9 + 3 * math.log(n)) / (5 * n * math.sqrt(n))  # Table 1
        usual = {"sigma_learning_rate": rate, "shape_learning_rate": rate}
        return State(mean=params, shape=jnp.eye(n, dtype=dtype), **begin(key, params, numbers, given, usual))

    def ask(state, ids=None):
        steps = lambda which: by_chunks(
            lambda z: flat.times(z, state.shape.T), flat.normals(state, which, state.shape.shape[0])
        )
        return flat.members(state, ids, population_size, steps)

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.shape.shape[0]
        fitness, weights = shaped(shaping, fitness, population_size, state.sigma.dtype)

        def block(part):
            s, u = flat.normals(state, part, n), part.of(weights)
            return (), (flat.times(u, s), flat.times((u[:, None] * s).T, s))

        _, (first, second) = over_blocks(block, population_size, blocks, comm)
        # Algorithm 5: natural gradients of the mean and of log(A), and the parts of the latter along sigma and B.
        g_mean, g_all = first, second - jnp.sum(weights) * jnp.eye(n, dtype=second.dtype)
        g_sigma = jnp.trace(g_all) * (1 / n)
        g_shape = g_all - g_sigma * jnp.eye(n, dtype=second.dtype)
        mean = flat.moved(state.mean, state.learning_rate * state.sigma * flat.times(state.shape, g_mean))
        sigma = state.sigma * jnp.exp(0.5 * state.sigma_learning_rate * g_sigma)
        shape = flat.times(state.shape, expm(0.5 * state.shape_learning_rate * g_shape))
        new = advance(state, numbers, {"mean": mean, "sigma": sigma, "shape": shape}, fitness)
        return new, summarize(fitness, state.mean, new.mean, state.sigma)

    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks)


def expm(matrix: jax.Array) -> jax.Array:
    """The matrix exponential by scaling, a Taylor series, and squaring.

    It takes only products, which are faster than `eigh` on an accelerator, and have the same bits in every program,
    unlike the eigenvectors of nearby eigenvalues.
    """
    eye = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    largest = jnp.max(jnp.sum(jnp.abs(matrix), axis=1))  # bounds the spectral norm of a symmetric matrix
    squarings = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(2 * largest, 1))), 0, 60).astype(jnp.int32)
    small = matrix * jnp.exp2(-squarings.astype(matrix.dtype))
    total = eye
    for k in range(14 if matrix.dtype == jnp.float64 else 8, 0, -1):  # Horner; the rest is below rounding at norm 1/2
        total = eye + flat.times(small, total) * (1 / k)
    return lax.fori_loop(0, squarings, lambda _, x: flat.times(x, x), total)
