"""Keep members within bounds: the strategy searches the whole space, which is mapped into the box."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.lowrank.population import materialize
from jaxes.strategy import Strategy
from jaxes.support import checks, trees
from jaxes.support.memoized import memoized
from jaxes.wrappers.inside import Inside, deviations


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside, whose members may lie outside
    low: Any  # a tree like the parameters
    high: Any  # likewise


class State(_Fields, Inside):
    __slots__ = ()


@memoized
def bounded(
    strategy: Strategy, low: Any = -jnp.inf, high: Any = jnp.inf, *, method: Literal["reflect", "smooth"] = "reflect"
) -> Strategy:
    """The same strategy with members in `[low, high]`.

    Args:
        strategy: any.
        low: the lower bounds in the units of the parameters: a number, or numbers or arrays in a tree that is a prefix
            of the parameters' tree; `-inf` for no bound.
        high: the upper bounds, likewise.
        method: "reflect" mirrors members that lie outside at the bounds; it leaves the inside as it is and makes a kink
            at the bound. "smooth" changes only what lies near a bound, quadratically with slope 0 at the bound, so
            that a differentiable fitness stays differentiable.

    Numbers that `init` takes: `low`, `high` and the numbers of the strategy inside.

    Raises:
        ValueError: at `init`, if a lower bound is not below its upper bound, or the parameters lie outside.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.bounded(jaxes.cma_es(8, 1.0), low=1.0)
    >>> state = strategy.init(jax.random.key(0), 2 * jnp.ones(3))
    >>> state, _ = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> strategy.recommend(state).round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    checks.one_of("method", method, ("reflect", "smooth"))
    default = {"low": low, "high": high}
    into, back = (_reflected, lambda x, low, high: x) if method == "reflect" else (_smooth, _smooth_inverse)

    def init(key, params, *, low=None, high=None, **numbers) -> State:
        params = checks.params(params)
        low = trees.like(default["low"] if low is None else low, params, "low")
        high = trees.like(default["high"] if high is None else high, params, "high")
        _check(params, low, high)
        return State(strategy.init(key, jax.tree.map(back, params, low, high), **numbers), low, high)

    def ask(state, ids=None):
        members = materialize(strategy.ask(state.inner, ids))
        return jax.vmap(lambda member: jax.tree.map(into, member, state.low, state.high))(members)

    def tell(state, fitness, **how):
        inner, info = strategy.tell(state.inner, fitness, **how)
        return state._replace(inner=inner), info

    recommend = lambda state: jax.tree.map(into, strategy.recommend(state.inner), state.low, state.high)
    return Strategy(
        init, ask, tell, recommend, strategy.population_size, strategy.blocks, deviations=deviations(strategy)
    )


def _check(params, low, high) -> None:
    if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((params, low, high))):
        return
    for (path, x), a, b in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(low), jax.tree.leaves(high), strict=True
    ):
        name = f"params{jax.tree_util.keystr(path)}"
        if not bool(jnp.all(a < b)):
            at = tuple(int(i) for i in jnp.argwhere(~(a < b))[0])
            raise ValueError(f"low must be below high, got {a[at]:g} and {b[at]:g} for {name}{list(at)}")
        if not bool(jnp.all((x >= a) & (x <= b))):
            at = tuple(int(i) for i in jnp.argwhere(~((x >= a) & (x <= b)))[0])
            raise ValueError(f"{name}{list(at)} must start in [{a[at]:g}, {b[at]:g}], got {x[at]:g}")


def _reflected(x, low, high):
    """The triangle wave that is the identity within the bounds."""
    both = jnp.isfinite(low) & jnp.isfinite(high)
    width = jnp.where(both, high - low, 1)
    start = jnp.where(both, low, 0)
    turn = jnp.mod(x - start, 2 * width)
    folded = start + jnp.minimum(turn, 2 * width - turn)
    one_sided = jnp.where(x < low, 2 * low - x, 2 * high - x)
    outside = (x < low) | (x > high)
    return jnp.where(outside, jnp.clip(jnp.where(both, folded, one_sided), low, high), x)


def _margins(low, high):
    """How far from each bound the smooth map differs from the identity: at most half of the box's width."""
    half = jnp.where(jnp.isfinite(low) & jnp.isfinite(high), (high - low) * 0.5, jnp.inf)
    margin = lambda bound: jnp.where(jnp.isfinite(bound), jnp.minimum(half, (1 + jnp.abs(bound)) * 0.05), 0)
    return margin(low), margin(high)


def _smooth(x, low, high):
    """Quadratic within a margin on both sides of a bound; what lies farther outside is mirrored.

    The point one margin outside is mapped to the bound itself.
    """
    below, above = _margins(low, high)
    y = _reflected(x, low - below, high + above)
    square = lambda distance, margin: distance**2 * (0.25 / jnp.where(margin > 0, margin, 1))
    near_low = jnp.where(below > 0, low, 0) + square(y - jnp.where(below > 0, low - below, 0), below)
    near_high = jnp.where(above > 0, high, 0) - square(jnp.where(above > 0, high + above, 0) - y, above)
    y = jnp.where(y < low + below, near_low, jnp.where(y > high - above, near_high, y))
    return jnp.clip(y, low, high)


def _smooth_inverse(x, low, high):
    below, above = _margins(low, high)
    root = lambda distance, margin: 2 * jnp.sqrt(jnp.maximum(margin * distance, 0))
    near_low = jnp.where(below > 0, low - below + root(jnp.where(below > 0, x - low, 0), below), x)
    near_high = jnp.where(above > 0, high + above - root(jnp.where(above > 0, high - x, 0), above), x)
    return jnp.where(x < low + below, near_low, jnp.where(x > high - above, near_high, x))
