"""Evaluate every member several times: for noisy fitness.

Hansen, Niederberger, Guzzella, Koumoutsakos: "A Method for Handling Uncertainty in Evolutionary Optimization With an
Application to Feedback Control of Combustion", 2009, IEEE TEVC 13(1): Algorithms 3 and 4 (UH-CMA-ES).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.strategies.parts.members import as_array, read_ids
from jaxes.strategy import Strategy, checked, strategy_factory
from jaxes.support import checks, trees
from jaxes.wrappers.inside import Inside, deviations, has_sigma, with_sigma_times

_WIDER = 1.5  # alpha_t: factor of the number of evaluations
_TOLERATED = 0.2  # theta: the smaller, the fewer changes of rank are tolerated


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside
    evaluations: jax.Array  # float[]: how many evaluations of a member count, rounded down
    uncertainty: jax.Array  # float[]: of the ranks in the last generation; above 0 there is too much noise


class State(_Fields, Inside):
    __slots__ = ()


@strategy_factory
def reevaluated(strategy: Strategy, n: int, *, adaptive: bool = False) -> Strategy:
    """The same strategy with every member evaluated `n` times.

    The members `i * n, ..., i * n + n - 1` of a generation, whose fitness is float[population_size * n], are copies of
    member `i` of the strategy inside, which is told the mean of their valid fitnesses. The copies have different ids,
    so a noisy problem evaluates each with other noise.

    Args:
        strategy: any; with `adaptive` one whose state has a `sigma`.
        n: how often a member is evaluated, 2 or more.
        adaptive: as in UH-CMA-ES, the number of evaluations that count (2 at first, at most n) follows how far ranks
            change between two halves of them; the others are asked for but ignored. Where all n count and ranks still
            change too much, sigma grows by the factor `1 + 2 / (dimension + 10)`. All members are compared, while the
            paper compares a part of them.

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
    size = checked(strategy).population_size

    def init(key, params, **given) -> State:
        dtype = trees.number_dtype(checks.params(params))
        inner = strategy.init(key, params, **given)
        if adaptive and not has_sigma(inner):
            raise TypeError("adaptive needs a strategy whose state has a sigma")
        return State(inner, jnp.asarray(2 if adaptive else n, dtype), jnp.zeros((), dtype))

    def ask(state, ids=None):
        return strategy.ask(state.inner, as_array(read_ids(ids, size * n)) // n)

    def tell(state, fitness, **how):
        dtype = state.evaluations.dtype
        told, order = checks.fitness(fitness, size * n, dtype)
        values = told.reshape(size, n)
        index = jnp.arange(n)
        used = (index.astype(dtype) < state.evaluations)[None] & ~jnp.isnan(values)
        means: Any = _mean(values, used)
        if order is not told and not isinstance(used, jax.core.Tracer):
            doubles = checks.wider(fitness, size * n, dtype)
            with jax.ensure_compile_time_eval(), jax.enable_x64(True):
                means = np.asarray(_mean(jnp.asarray(doubles).reshape(size, n), used))
        inner, info = strategy.tell(state.inner, means, **how)
        if not adaptive:
            return state._replace(inner=inner), info
        halves = [_mean(order.reshape(size, n), used & (index % 2 == side)[None]) for side in (0, 1)]
        s = uncertainty(*halves)
        noisy, most = s > 0, state.evaluations >= n
        count = jnp.where(noisy, state.evaluations * _WIDER, state.evaluations * (1 / _WIDER))
        wider = 1 + 2 / (trees.size(strategy.recommend(inner)) + 10)  # alpha_sigma
        grown = jnp.where(noisy & most, wider, 1).astype(dtype)
        return State(with_sigma_times(grown, inner), jnp.clip(count, 2, n), s), info

    recommend = lambda state: strategy.recommend(state.inner)
    return Strategy(init, ask, tell, recommend, size * n, strategy.blocks, deviations=deviations(strategy))


def uncertainty(first: jax.Array, second: jax.Array) -> jax.Array:
    """Algorithm 4: by how much the ranks of two evaluations of the same members differ more than is tolerated.

    Args:
        first: float[size], fitness.
        second: float[size], fitness of the same members.

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
