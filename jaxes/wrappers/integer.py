"""Whole-number coordinates that do not freeze.

Hamano, Saito, Nomura, Shirakawa: "CMA-ES with Margin: Lower-Bounding Marginal Probability for Mixed-Integer Black-Box
Optimization", GECCO 2022, arXiv:2205.13482, section 3.3; here for integers without bounds (see `bounded`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from jaxes.lowrank.population import materialize
from jaxes.strategy import Strategy
from jaxes.support import checks, trees
from jaxes.support.memoized import memoized
from jaxes.wrappers.inside import Inside, deviations


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside
    scale: Any  # float tree like the parameters: A, widens the deviation of integer coordinates
    margin: jax.Array  # float[]: alpha, the least probability that an integer coordinate leaves its value


class State(_Fields, Inside):
    __slots__ = ()


@memoized
def integer(strategy: Strategy, which: Any = True, *, margin: float | None = None) -> Strategy:
    """The same strategy with some coordinates rounded to whole numbers.

    A search whose members are only rounded freezes as soon as its standard deviations are small against 1. The margin
    correction widens the deviation of an integer coordinate and moves its mean, so that it leaves its value with at
    least a certain probability.

    Args:
        strategy: a Gaussian strategy whose state has a `mean` and a `sigma` (`cma_es`, `snes`, `cem`, ...).
        which: True for all coordinates; or a tree of booleans or boolean arrays, a prefix of the parameters' tree.
        margin: alpha, the least probability; a scalar, `1 / (dimension * population_size)` by default.

    Numbers that `init` takes: `margin` and the numbers of the strategy inside.

    Raises:
        TypeError: if the strategy's standard deviations cannot be read.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.integer(jaxes.cma_es(12, 2.0))
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(3))
    >>> far = jaxes.minimize(lambda x: jnp.sum((x - jnp.array([3.0, -7.0, 11.0])) ** 2))
    >>> state, _ = jaxes.run(strategy, far, state, generations=80)
    >>> strategy.recommend(state).tolist()
    [3.0, -7.0, 11.0]
    """
    if strategy.deviations is None:
        raise TypeError(
            "strategy must be a Gaussian one whose coordinates' standard deviations can be read, such as cma_es, "
            "ma_es, sep_cma_es, snes, cem or open_es"
        )
    default = margin
    size = strategy.population_size

    def chosen(params):
        mark = lambda mask, part: jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(mask, bool), x.shape), part)
        return jax.tree.map(mark, which, params)

    def init(key, params, *, margin=None, **numbers) -> State:
        params = checks.params(params)
        inner = strategy.init(key, params, **numbers)
        alpha = default if margin is None else margin
        alpha = 1 / (trees.size(params) * size) if alpha is None else alpha
        checks.number("margin", alpha)
        dtype = trees.number_dtype(params)
        return State(inner, jax.tree.map(jnp.ones_like, params), jnp.asarray(alpha, dtype))

    def placed(state, member):
        mean = strategy.recommend(state.inner)
        stretch = lambda m, a, x, whole: jnp.where(whole, jnp.round(m + a * (x - m)), x)
        return jax.tree.map(stretch, mean, state.scale, member, chosen(mean))

    def ask(state, ids=None):
        return jax.vmap(lambda member: placed(state, member))(materialize(strategy.ask(state.inner, ids)))

    def tell(state, fitness, **how):
        inner, info = strategy.tell(state.inner, fitness, **how)
        mean = strategy.recommend(inner)
        fix = lambda m, s, a, whole: _corrected(m, s, a, whole, state.margin)
        fixed = jax.tree.map(fix, mean, strategy.deviations(inner).coordinates, state.scale, chosen(mean))
        first, second = (jax.tree.map(lambda _, pair, i=i: pair[i], mean, fixed) for i in (0, 1))
        return State(inner._replace(mean=first), second, state.margin), info

    recommend = lambda state: placed(state, strategy.recommend(state.inner))
    return Strategy(init, ask, tell, recommend, size, strategy.blocks, deviations=deviations(strategy))


def _corrected(mean, deviation, scale, whole, margin):
    """The mean and scale of coordinates of one leaf, so that each leaves its value with probability `margin`."""
    dtype = deviation.dtype
    m, a, margin = mean.astype(dtype), scale.astype(dtype), margin.astype(dtype)
    widened = jnp.maximum(a * deviation, jnp.finfo(dtype).tiny)
    low, high = jnp.ceil(m - 0.5) - 0.5, jnp.ceil(m - 0.5) + 0.5  # the thresholds around the mean
    p_low, p_high = norm.cdf(low, m, widened), norm.sf(high, m, widened)
    p_middle = 1 - p_low - p_high
    least = 0.5 * margin
    q_low, q_high = jnp.maximum(least, p_low), jnp.maximum(least, p_high)
    rest = (1 - q_low - q_high - p_middle) / jnp.maximum(q_low + q_high + p_middle - 3 * least, 1e-6)
    q_low, q_high = q_low + rest * (q_low - least), q_high + rest * (q_high - least)
    below, above = -norm.ppf(q_low), -norm.ppf(q_high)  # in units of the new deviation
    width = jnp.maximum(below + above, 1e-6)
    moved = (low * above + high * below) / width
    wider = (high - low) / (width * deviation)
    change = whole & ((p_low < least) | (p_high < least))
    return jnp.where(change, moved, m).astype(mean.dtype), jnp.where(change, wider, a).astype(scale.dtype)
