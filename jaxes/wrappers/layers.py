"""What a wrapped strategy is made of, so that every wrapper finds its place whatever the order they are called in.

`bounded` and `integer` say where members are, so they belong around the search itself: `integer` around `bounded`, and
the other wrappers, which say what is done with members, around both.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxes.strategy import Strategy
from jaxes.support.memoized import recipe


class Layer(NamedTuple):
    """The outermost wrapper of a strategy."""

    name: str  # "bounded", ...
    inside: Any  # the strategy inside, or a function from a population's size to it
    settings: dict[str, Any]  # the wrapper's other arguments
    factory: Callable[..., Strategy]

    def around(self, change: Callable[[Strategy], Strategy]) -> Strategy:
        """The same wrapper around a changed strategy."""
        inside = self.inside
        changed = change(inside) if isinstance(inside, Strategy) else lambda size: change(inside(size))
        return self.factory(changed, **self.settings)


def has(strategy: Strategy, name: str) -> bool:
    """Whether a wrapper of this name is in the strategy."""
    layer = outermost(strategy)
    if layer is None:
        return False
    return layer.name == name or (isinstance(layer.inside, Strategy) and has(layer.inside, name))


def outermost(strategy: Strategy) -> Layer | None:
    """The outermost wrapper, None for a strategy that is none of a wrapper's."""
    made = recipe(strategy)
    if made is None or made.factory.__module__.rpartition(".")[0] != __name__.rpartition(".")[0]:
        return None
    given = inspect.signature(made.factory).bind(*made.args, **made.kwargs)
    given.apply_defaults()
    settings = dict(given.arguments)
    return Layer(made.factory.__name__, settings.pop("strategy"), settings, made.factory)
