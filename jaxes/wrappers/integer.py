"""Whole-number coordinates that do not freeze.

Hamano, Saito, Nomura, Shirakawa: "CMA-ES with Margin: Lower-Bounding Marginal Probability for Mixed-Integer Black-Box
Optimization", GECCO 2022, arXiv:2205.13482, section 3.3; here for integers without bounds (see `bounded`).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from jaxes.strategy import Strategy, checked, strategy_factory
from jaxes.support.vectors import is_vector
from jaxes.wrappers.bounded import bounds_of
from jaxes.wrappers.layers import outermost
from jaxes.wrappers.placed import Whole, placed

_WIDEST = 1e30  # units of a coordinate, in those of the parameters


@strategy_factory
def integer(strategy: Strategy, which: Any = True, *, margin: float | None = None) -> Strategy:
    """The same strategy with some coordinates rounded to whole numbers.

    A search whose members are only rounded freezes as soon as its standard deviations are small against 1. The margin
    correction widens the deviation of an integer coordinate and moves its mean, so that it leaves its value with at
    least a certain probability. Unlike the paper's, a widened coordinate is widened for the strategy's learning too:
    it is searched in larger units, so that its mean follows a better value at once.

    Args:
        strategy: a Gaussian strategy whose state has a `mean` (`cma_es`, `snes`, `cem`, ...), or a wrapper around one:
            `bounded` holds whole numbers within the bounds.
        which: True for all coordinates; or a tree of booleans, lists of booleans or boolean arrays, a prefix of the
            parameters' tree.
        margin: alpha, the least probability; a scalar, `1 / (dimension * population_size)` by default.

    Numbers that `init` takes: `margin` and the numbers of the strategy inside.

    Raises:
        TypeError: if the strategy's standard deviations cannot be read, or `which` holds anything but booleans.
        ValueError: if the strategy has whole numbers already; at `init`, if bounds have no whole number between them.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.integer(jaxes.cma_es(12, 2.0))
    >>> state = strategy.init(jax.random.key(0), jnp.zeros(3))
    >>> far = jaxes.minimize(lambda x: jnp.sum((x - jnp.array([3.0, -7.0, 11.0])) ** 2))
    >>> state, _ = jaxes.run(strategy, far, state, generations=80)
    >>> strategy.recommend(state).tolist()
    [3.0, -7.0, 11.0]
    """
    _check(which)
    layer = outermost(strategy)
    if layer is None:
        return placed(strategy, None, _whole(strategy, which, margin))
    if layer.name == "integer":
        raise ValueError("strategy has whole numbers already; tell one integer(...) which, by a tree of booleans")
    if layer.name == "bounded":
        return placed(layer.inside, bounds_of(layer.settings), _whole(layer.inside, which, margin))
    return layer.around(lambda inside: integer(inside, which, margin=margin))


def _check(which: Any) -> None:
    for path, mask in jax.tree_util.tree_leaves_with_path(which, is_leaf=lambda x: x is None or is_vector(x)):
        if mask is None or np.asarray(mask).dtype != bool:
            name = f"which{jax.tree_util.keystr(path)}"
            hint = "; whole numbers by their places are numpy.isin(numpy.arange(n), places)" if is_vector(mask) else ""
            raise TypeError(f"{name} must hold booleans, one for each number, got {mask!r}{hint}")


def _whole(strategy: Strategy, which: Any, margin: float | None) -> Whole:
    deviations = checked(strategy).deviations
    if deviations is None:
        raise TypeError(
            "strategy must be a Gaussian one whose coordinates' standard deviations can be read, such as cma_es, "
            "ma_es, sep_cma_es, snes, cem or open_es"
        )
    return Whole(which, margin, deviations, _corrected)


def _corrected(
    point: jax.Array, deviation: jax.Array, scale: jax.Array, whole: jax.Array, margin: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One leaf of the mean and of the units, so that each whole number leaves its value with probability `margin`.

    Args:
        point: the mean, in units of `scale`.
        deviation: standard deviations, likewise.
        scale: the units.
        whole: bool: which coordinates are whole numbers.
        margin: float[].
    """
    dtype = deviation.dtype
    a, margin = scale.astype(dtype), margin.astype(dtype)
    m = a * point.astype(dtype)
    spread = jnp.maximum(a * deviation, jnp.finfo(dtype).tiny)
    low, high = jnp.ceil(m - 0.5) - 0.5, jnp.ceil(m - 0.5) + 0.5  # the thresholds around the mean
    p_low, p_high = norm.cdf(low, m, spread), norm.sf(high, m, spread)
    p_middle = 1 - p_low - p_high
    least = 0.5 * margin
    q_low, q_high = jnp.maximum(least, p_low), jnp.maximum(least, p_high)
    rest = (1 - q_low - q_high - p_middle) / jnp.maximum(q_low + q_high + p_middle - 3 * least, 1e-6)
    q_low, q_high = q_low + rest * (q_low - least), q_high + rest * (q_high - least)
    below, above = -norm.ppf(q_low), -norm.ppf(q_high)  # in units of the new deviation
    width = jnp.maximum(below + above, 1e-6)
    moved = (low * above + high * below) / width
    wider = jnp.minimum((high - low) / (width * deviation), _WIDEST)
    change = whole & ((p_low < least) | (p_high < least))
    m, a = jnp.where(change, moved, m), jnp.where(change, wider, a)
    return jnp.where(change, m / a, point.astype(dtype)).astype(point.dtype), a.astype(scale.dtype)
