"""Where the members of a search are: within bounds, on whole numbers, or both.

The strategy inside searches the whole space. A whole-number coordinate is searched in units of its own, `scale`, which
`integer` widens; then bounds map all coordinates into their box, and whole numbers are rounded last.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.lowrank.population import materialize
from jaxes.strategy import Deviations, Strategy, checked
from jaxes.support import checks, trees
from jaxes.support.vectors import spread
from jaxes.wrappers import boxes
from jaxes.wrappers.inside import Inside, deviations


class Bounds(NamedTuple):
    """Of `bounded`."""

    low: Any
    high: Any
    into: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    back: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class Whole(NamedTuple):
    """Of `integer`."""

    which: Any
    margin: float | None
    deviations: Callable[[Any], Deviations]  # of the strategy inside
    corrected: Callable[..., tuple[jax.Array, jax.Array]]


class _Fields(NamedTuple):
    inner: Any  # state of the strategy inside, whose members are anywhere
    low: Any  # a tree like the parameters, None without bounds
    high: Any  # likewise
    scale: Any  # a tree like the parameters: the unit of each whole-number coordinate inside; None without any
    margin: jax.Array | None  # float[]: alpha, the least probability that a whole number leaves its value


class State(_Fields, Inside):
    __slots__ = ()


def placed(strategy: Strategy, bounds: Bounds | None, whole: Whole | None) -> Strategy:
    """The strategy with its members placed."""
    size = checked(strategy).population_size

    def chosen(params):
        """A tree of booleans: the whole-number coordinates."""
        return spread(False if whole is None else whole.which, params, "which", bool)

    def init(key, params, *, low=None, high=None, margin=None, **numbers) -> State:
        params = checks.params(params)
        inside, is_whole = params, chosen(params)
        if bounds is None and not (low is None and high is None):
            raise TypeError("init got low or high, but the strategy has no bounds: see jaxes.wrappers.bounded")
        if whole is None and margin is not None:
            raise TypeError("init got margin, but the strategy has no whole numbers: see jaxes.wrappers.integer")
        if bounds is not None:
            low = spread(bounds.low if low is None else low, params, "low")
            high = spread(bounds.high if high is None else high, params, "high")
            _check(params, low, high, is_whole)
            back = lambda x, a, b, w: jnp.where(w, x, bounds.back(x, a, b))
            inside = jax.tree.map(back, params, low, high, is_whole)
        scale = None
        if whole is not None:
            scale = jax.tree.map(jnp.ones_like, params)
            margin = whole.margin if margin is None else margin
            margin = 1 / (trees.size(params) * size) if margin is None else margin
            checks.number("margin", margin)
            margin = jnp.asarray(margin, trees.number_dtype(params))
        return State(strategy.init(key, inside, **numbers), low, high, scale, margin)

    def place(state, point):
        """The member that stands for a point of the search."""
        is_whole = chosen(point)
        y = point if state.scale is None else jax.tree.map(jnp.multiply, point, state.scale)
        unlimited = lambda sign: jax.tree.map(lambda x: jnp.full_like(x, sign * jnp.inf), point)
        low, high = (unlimited(-1), unlimited(1)) if state.low is None else (state.low, state.high)
        boxed = y if bounds is None else jax.tree.map(bounds.into, y, low, high)
        if state.scale is None:
            return boxed
        return jax.tree.map(
            lambda w, x, y, a, b: jnp.where(w, boxes.rounded(x, a, b), y), is_whole, y, boxed, low, high
        )

    def ask(state, ids=None):
        return jax.vmap(lambda point: place(state, point))(materialize(strategy.ask(state.inner, ids)))

    def tell(state, fitness, **how):
        inner, info = strategy.tell(state.inner, fitness, **how)
        state = state._replace(inner=inner)
        if whole is None:
            return state, info
        mean, scale = inner.mean, state.scale
        spreads = whole.deviations(inner).coordinates
        fixed = jax.tree.map(
            lambda m, s, a, w: whole.corrected(m, s, a, w, state.margin), mean, spreads, scale, chosen(mean)
        )
        mean, scale = (jax.tree.map(lambda _, pair, i=i: pair[i], mean, fixed) for i in (0, 1))
        return state._replace(inner=inner._replace(mean=mean), scale=scale), info

    recommend = lambda state: place(state, strategy.recommend(state.inner))
    return Strategy(init, ask, tell, recommend, size, strategy.blocks, deviations=deviations(strategy))


def _check(params, low, high, whole) -> None:
    if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((params, low, high))):
        return
    leaves = map(jax.tree.leaves, (low, high, whole))
    for (path, x), a, b, w in zip(jax.tree_util.tree_leaves_with_path(params), *leaves, strict=True):
        name = f"params{jax.tree_util.keystr(path)}"
        if (at := _first(~(a < b))) is not None:
            raise ValueError(f"low must be below high, got {a[at]:g} and {b[at]:g} for {name}{_place(at)}")
        if (at := _first(w & (jnp.ceil(a) > jnp.floor(b)))) is not None:
            raise ValueError(f"no whole number lies between low {a[at]:g} and high {b[at]:g} of {name}{_place(at)}")
        if (at := _first(~((x >= a) & (x <= b)))) is not None:
            raise ValueError(f"{name}{_place(at)} must start in [{a[at]:g}, {b[at]:g}], got {x[at]:g}")


def _first(wrong: jax.Array) -> tuple[int, ...] | None:
    return tuple(int(i) for i in jnp.argwhere(wrong)[0]) if bool(jnp.any(wrong)) else None


def _place(at: tuple[int, ...]) -> str:
    return str(list(at)) if at else ""
