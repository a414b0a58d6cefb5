"""Covariance matrix adaptation: a Gaussian that learns the shape of the fitness.

Hansen: "The CMA Evolution Strategy: A Tutorial", 2016 (version of 2023), arXiv:1604.00772. Equation numbers are the
tutorial's. Default parameters come from its Table 1 (eqs. 49-58), with the negative weights of the active update.

The covariance is kept as C = A M A^T, where A is the root that members are drawn with, and M is what has changed since
A was made, in the coordinates of A. The next root is A M^(1/2). M is near the identity, so the shortest axes keep the
relative precision of a float: float32 suffices for condition numbers that a covariance in float32 cannot hold. Members
have the tutorial's distribution, whichever root of C they are drawn with.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxes.blocks import Comm, over_blocks
from jaxes.schedules import Number
from jaxes.strategies.parts import deviations, flat
from jaxes.strategies.parts import evolution_paths as paths
from jaxes.strategies.parts.flat import by_chunks
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategies.parts.square_root import square_root
from jaxes.strategy import Strategy, strategy_factory, summarize
from jaxes.support import checks, ranking, trees


class State(NamedTuple):
    key: jax.Array  # key[]
    step: jax.Array  # int32[]: generations told
    mean: Any  # the parameters
    rest: jax.Array  # float[n]: what rounding has taken off the mean
    sigma: jax.Array  # float[]: the step size
    root: jax.Array  # float[n, n]: A, with C = A A^T at the last decomposition
    change: jax.Array  # float[n, n]: M, with C = A M A^T now
    path_sigma: jax.Array  # float[n]: evolution path of the step size
    path_c: jax.Array  # float[n]: evolution path of the covariance, A^-1 p_c
    c_m: jax.Array  # float[]: learning rate of the mean
    c_sigma: jax.Array  # float[]: rate of the step size's path
    d_sigma: jax.Array  # float[]: damping of the step size
    c_c: jax.Array  # float[]: rate of the covariance's path
    c_1: jax.Array  # float[]: learning rate of the rank-one update
    c_mu: jax.Array  # float[]: learning rate of the rank-mu update


@strategy_factory
def cma_es(
    population_size: int,
    sigma: float | jax.Array = 0.1,
    *,
    c_m: Number | None = None,
    c_sigma: Number | None = None,
    d_sigma: Number | None = None,
    c_c: Number | None = None,
    c_1: Number | None = None,
    c_mu: Number | None = None,
    active: bool = True,
    interval: int | None = None,
    blocks: int = 1,
) -> Strategy:
    """CMA-ES with the full covariance matrix.

    The parameters are raveled into one vector inside; memory and time grow as for n x n matrices (the root,
    its change, and work space), so n is at most 10,000.

    Args:
        population_size: members per generation, 2 or more; the tutorial's choice is 4 + floor(3 ln n).
        sigma: initial step size, in units of the parameters; about a quarter of the width of the search region.
        c_m, c_sigma, d_sigma, c_c, c_1, c_mu: rates, numbers or optax schedules; Table 1's for n parameters by default.
        active: whether the worse half takes variance away, by negative weights.
        interval: generations between two decompositions; `max(1, 1 / (10 n (c_1 + c_mu)))` by default, so that
            decompositions cost no more than everything else (appendix B.2).
        blocks: the population is drawn and summed in that many parts, one at a time.

    Numbers that `init` takes: `sigma` and the six rates.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.cma_es(8, 0.5)
    >>> state = strategy.init(jax.random.key(0), jnp.ones(4))
    >>> ellipsoid = jaxes.minimize(lambda x: jnp.sum(10.0 ** jnp.arange(4) * x**2))
    >>> state, infos = jaxes.run(strategy, ellipsoid, state, generations=150)
    >>> bool(infos.best[-1] > -1e-6)
    True
    """
    checks.population_size(population_size, blocks=blocks)
    checks.adapted("sigma", sigma)
    if interval is not None:
        checks.count("interval", interval)
    numbers = {"sigma": sigma, "c_m": c_m, "c_sigma": c_sigma, "d_sigma": d_sigma, "c_c": c_c, "c_1": c_1, "c_mu": c_mu}
    raw = np.log((population_size + 1) / 2) - np.log(np.arange(1, population_size + 1))  # eq. 49
    rest_of = np.minimum(raw, 0)
    positive, effective = paths.logarithmic(population_size)
    effective_rest = float(rest_of.sum() ** 2 / (rest_of**2).sum())

    def init(key, params, **given) -> State:
        params = checks.params(params)
        dtype = trees.number_dtype(params)
        n = flat.check_matrix("cma_es", params, dtype)
        fields = begin(key, params, numbers, given, table_1(n, effective), ("sigma", "d_sigma"))
        zero, one = jnp.zeros(n, dtype), jnp.eye(n, dtype=dtype)
        return State(mean=params, rest=zero, root=one, change=one, path_sigma=zero, path_c=zero, **fields)

    def ask(state, ids=None):
        def steps(which):  # y = A z, eq. 39
            z = flat.normals(state, which, state.path_c.size)
            return by_chunks(lambda rows: flat.times(rows, state.root.T), z) + (state.rest * (1 / state.sigma))[None]

        return flat.members(state, ids, population_size, steps)  # eq. 40

    def tell(state, fitness, comm: Comm = "blocks"):
        n = state.path_c.size
        fitness, order = checks.fitness(fitness, population_size, state.sigma.dtype)
        weights, mu_eff = paths.select(positive, order)
        all_weights = ranking.recombination(signed_weights(state, n), order) if active else weights

        def block(part):
            z = flat.normals(state, part, n)
            signed = part.of(all_weights)
            # Negative weights act on steps of Mahalanobis length sqrt(n), |C^(-1/2) y| = |z|: eq. 46.
            signed = jnp.where(signed < 0, signed * n / jnp.maximum(jnp.sum(z**2, axis=1), 1e-30), signed)
            return (), (flat.times(part.of(weights), z), flat.times((signed[:, None] * z).T, z))

        # white = A^-1 <y>, outer in A's coordinates
        _, (white, outer) = over_blocks(block, population_size, blocks, comm)
        moved = state.c_m * state.sigma * flat.times(state.root, white)  # eqs. 41, 42
        mean, rest = flat.moved_exactly(state.mean, state.rest, moved)

        path_sigma = paths.cumulated(state.path_sigma, state.c_sigma, mu_eff, white)  # eq. 43
        sigma, length = paths.step_size(state.sigma, path_sigma, state.c_sigma, state.d_sigma)  # eq. 44
        moving = paths.moving(length, state.c_sigma, state.step, n)  # h_sigma
        path_c = paths.cumulated(state.path_c, state.c_c, mu_eff, moving * white)  # eq. 45
        stalled = (1 - moving) * state.c_c * (2 - state.c_c)  # delta(h_sigma)
        kept = 1 + state.c_1 * stalled - state.c_1 - state.c_mu * jnp.sum(all_weights)
        rank_one = path_c[:, None] * path_c[None, :]
        change = kept * state.change + state.c_1 * rank_one + state.c_mu * outer  # eq. 47

        fields = {"mean": mean, "rest": rest, "sigma": sigma, "change": change}
        new = advance(state, numbers, {**fields, "path_sigma": path_sigma, "path_c": path_c}, fitness)
        rarely = 1 / (10 * n * jnp.maximum(state.c_1 + state.c_mu, 1e-12))  # appendix B.2
        every = jnp.clip(rarely, 1, 1e6).astype(jnp.int32) if interval is None else interval
        due = jnp.any(~jnp.isnan(fitness)) & (new.step % every == 0)
        root, change, path_c = lax.cond(due, renewed, lambda *same: same, new.root, new.change, new.path_c)
        info = summarize(fitness, state.mean, new.mean, state.sigma)
        return new._replace(root=root, change=change, path_c=path_c), info

    def signed_weights(state, n):
        """Table 1, eq. 53: the negative weights, small enough to keep C positive definite."""
        c_mu = jnp.maximum(state.c_mu, 1e-30)
        most = jnp.minimum(1 + state.c_1 / c_mu, 1 + 2 * effective_rest / (effective + 2))  # eqs. 50, 51
        most = jnp.minimum(most, jnp.maximum(1 - state.c_1 - state.c_mu, 0) / (n * c_mu))  # eq. 52
        negative = rest_of / -rest_of.sum()
        return jnp.asarray(positive, state.c_mu.dtype) + most * jnp.asarray(negative, state.c_mu.dtype)

    full = lambda state: deviations.full(state, state.root, exact=True)
    return Strategy(init, ask, tell, lambda state: state.mean, population_size, blocks, deviations=full)


def table_1(n: int, effective: float) -> dict[str, float]:
    """Default rates of the tutorial's version of 2023 for n parameters and mu_eff `effective`."""
    rates = paths.rates(n, effective)
    c_mu = 2 * (0.25 + effective + 1 / effective - 2) / ((n + 2) ** 2 + effective)  # eq. 58
    return {"c_m": 1.0, **rates, "c_mu": min(1 - rates["c_1"], c_mu)}


def renewed(root: jax.Array, change: jax.Array, path_c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A M^(1/2), the identity, and the path in the new root's coordinates.

    M^(1/2) is the symmetric root: with the axes of an eigendecomposition (B D of eq. 39) rounding would decide which
    members are drawn.
    """
    half, path = square_root(change, path_c)
    return flat.times(root, half), jnp.eye(change.shape[0], dtype=change.dtype), path
