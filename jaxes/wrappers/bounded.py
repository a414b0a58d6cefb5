"""Keep members within bounds: the strategy searches the whole space, which is mapped into the box."""

from typing import Any, Literal

import jax.numpy as jnp

from jaxes.strategy import Strategy, strategy_factory
from jaxes.support import checks
from jaxes.wrappers import boxes
from jaxes.wrappers.layers import outermost
from jaxes.wrappers.placed import Bounds, placed

_MAPS = {"reflect": (boxes.reflected, boxes.unreflected), "smooth": (boxes.smooth, boxes.unsmooth)}


@strategy_factory
def bounded(
    strategy: Strategy, low: Any = -jnp.inf, high: Any = jnp.inf, *, method: Literal["reflect", "smooth"] = "reflect"
) -> Strategy:
    """The same strategy with members in `[low, high]`.

    Args:
        strategy: any. Around another wrapper, it is that wrapper around the bounded strategy; whole numbers (`integer`)
            stay whole.
        low: the lower bounds in the units of the parameters: a number, or numbers, lists of numbers or arrays in a tree
            that is a prefix of the parameters' tree; `-inf` for no bound.
        high: the upper bounds, likewise.
        method: "reflect" mirrors members that lie outside at the bounds; it leaves the inside as it is and makes a kink
            at the bound. "smooth" changes only what lies near a bound, quadratically with slope 0 at the bound, so
            that a differentiable fitness stays differentiable.

    Numbers that `init` takes: `low`, `high` and the numbers of the strategy inside.

    Raises:
        ValueError: if the strategy has bounds already; at `init`, if a lower bound is not below its upper bound, or the
            parameters lie outside.

    >>> import jax, jaxes, jax.numpy as jnp
    >>> strategy = jaxes.wrappers.bounded(jaxes.cma_es(8, 1.0), low=1.0)
    >>> state = strategy.init(jax.random.key(0), 2 * jnp.ones(3))
    >>> state, _ = jaxes.run(strategy, jaxes.minimize(lambda x: jnp.sum(x**2)), state, generations=60)
    >>> strategy.recommend(state).round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    checks.one_of("method", method, tuple(_MAPS))
    layer = outermost(strategy)
    if layer is None:
        return placed(strategy, bounds_of({"low": low, "high": high, "method": method}), None)
    if layer.name == "bounded":
        raise ValueError("strategy has bounds already; give one bounded(...) the narrower low and high")
    return layer.around(lambda inside: bounded(inside, low, high, method=method))


def bounds_of(settings: dict[str, Any]) -> Bounds:
    """What the arguments of `bounded` say."""
    return Bounds(settings["low"], settings["high"], *_MAPS[settings["method"]])
