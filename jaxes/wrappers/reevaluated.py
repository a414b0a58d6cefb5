"""Evaluate every member several times: for noisy fitness.

Hansen, Niederberger, Guzzella, Koumoutsakos: "A Method for Handling Uncertainty in Evolutionary Optimization With an
Application to Feedback Control of Combustion", 2009, IEEE TEVC 13(1): Algorithms 3 and 4 (UH-CMA-ES).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.strategies.parts.members import as_array, read_ids
from jaxes.strategy import Strategy
from jaxes.support import checks, trees
from jaxes.support.memoized import memoized
from jaxes.wrappers.inside import Inside, deviations

_WIDER = 1.5  # alpha_t: factor of the number of evaluations
_TOLERATED = 0.2  # theta: the smaller, the fewer changes of rank pass as none


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside
    evaluations: jax.Array  # float[]: how many of a member's evaluations count, rounded down
    uncertainty: jax.Array  # float[]: of the last generation; above 0 there is too much noise


class State(_Fields, Inside):
    __slots__ = ()


@memoized
def reevaluated(strategy: Strategy, n: int, *, adaptive: bool = False) -> Strategy:
    """The same strategy, each of whose members is evaluated `n` times.

    The members `i * n, ..., i * n + n - 1` of a generation are copies of member `i` of the strategy inside, which is
    told their mean over the valid ones. Their ids differ, so that a problem with noise gives each another value.

    Args:
        strategy: any; with `adaptive` one whose state has a `sigma`.
        n: evaluations of a member, 2 or more.
        adaptive: as UH-CMA-ES: how far ranks change between the two halves of the evaluations decides how many of the
            `n` are used (2 at first, at most n; the rest are asked for but ignored), and sigma grows by
            `1 + 2 / (dimension + 10)` when all are used and ranks still change too much. All members are measured,
            where the paper measures a part of them.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.reevaluated(jaxes.snes(8, 0.5), 4)
    >>> strategy.population_size
    32
    >>> state = strategy.init(jax.random.key(0), jnp.ones(3))
    >>> members = strategy.ask(state)
    >>> bool((members[0] == members[3]).all()), bool((members[3] == members[4]).all())
    (True, False)
    """
    checks.integer("n", n, 2)
    size = strategy.population_size

    def init(key, params, **given) -> State:
        dtype = trees.number_dtype(checks.params(params))
        inner = strategy.init(key, params, **given)
        if adaptive and not hasattr(inner, "sigma"):
            raise TypeError("adaptive needs a strategy whose state has a sigma")
        return State(inner, jnp.asarray(2 if adaptive else n, dtype), jnp.zeros((), dtype))

    def ask(state, ids=None):
        return strategy.ask(state.inner, as_array(read_ids(ids, size * n)) // n)

    def tell(state, fitness, **how):
        dtype = state.evaluations.dtype
        values = checks.fitness(fitness, size * n, dtype).reshape(size, n)
        index = jnp.arange(n)
        used = (index.astype(dtype) < state.evaluations)[None] & ~jnp.isnan(values)
        inner, info = strategy.tell(state.inner, _mean(values, used), **how)
        if not adaptive:
            return state._replace(inner=inner), info
        halves = [_mean(values, used & (index % 2 == side)[None]) for side in (0, 1)]
        s = uncertainty(*halves)
        noisy, most = s > 0, state.evaluations >= n
        count = jnp.where(noisy, state.evaluations * _WIDER, state.evaluations * (1 / _WIDER))
        wider = 1 + 2 / (trees.size(strategy.recommend(inner)) + 10)  # alpha_sigma
        grown = jnp.where(noisy & most, wider, 1).astype(dtype)
        inner = inner._replace(sigma=trees.scaled(grown, inner.sigma))
        return State(inner, jnp.clip(count, 2, n), s), info

    recommend = lambda state: strategy.recommend(state.inner)
    return Strategy(init, ask, tell, recommend, size * n, strategy.blocks, deviations=deviations(strategy))


def uncertainty(first: jax.Array, second: jax.Array) -> jax.Array:
    """Algorithm 4: how much more the ranks of two evaluations of the same members differ than is tolerated.

    Args:
        first: float[size]; `second` likewise.

    Returns:
        float[]: above 0 where there is too much noise.
    """
    size = first.shape[0]
    both = jnp.stack([first, second], 1)
    flat = jnp.where(jnp.isnan(both), -jnp.inf, both).reshape(-1)
    order = jnp.argsort(flat)
    rank = jnp.zeros(2 * size, jnp.int32).at[order].set(jnp.arange(1, 2 * size + 1, dtype=jnp.int32)).reshape(size, 2)
    change = jnp.abs(rank[:, 0] - rank[:, 1]) - 1
    limits = []
    for side in (0, 1):
        among_others = rank[:, side] - (rank[:, side] > rank[:, 1 - side]).astype(jnp.int32)
        distances = jnp.abs(jnp.arange(1, 2 * size, dtype=jnp.int32)[None] - among_others[:, None])
        limits.append(jnp.quantile(distances.astype(first.dtype), 0.5 * _TOLERATED, axis=1))
    return jnp.mean(2 * change.astype(first.dtype) - limits[0] - limits[1])


def _mean(values: jax.Array, used: jax.Array) -> jax.Array:
    """The mean of each row over the `used` ones, NaN where there is none."""
    count = jnp.sum(used, axis=1)
    total = jnp.sum(jnp.where(used, values, 0), axis=1)
    return jnp.where(count > 0, total / jnp.maximum(count, 1).astype(values.dtype), jnp.nan)
