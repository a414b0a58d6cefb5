"""States that know which strategy they belong to: a label that is part of a NamedTuple's type, and no leaf."""

import functools
from typing import Any


@functools.lru_cache(maxsize=4096)
def _labelled(kind: type, label: str) -> type:
    fields = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, "label": label}
    return type(kind.__name__, (kind,), {**fields, "__reduce__": _reduce})


def _reduce(self: Any) -> tuple[Any, ...]:
    return _again, (type(self).__bases__[0], self.label, tuple(self))


def _again(kind: type, label: str, values: tuple) -> Any:
    return _labelled(kind, label)(*values)


def labelled(state: Any, label: str) -> Any:
    """The same NamedTuple with a label; trees, `_replace` and pickle keep it.

    >>> from typing import NamedTuple
    >>> class Point(NamedTuple):
    ...     x: float
    >>> label_of(labelled(Point(1.0), "two")._replace(x=2.0))
    'two'
    """
    return state if label_of(state) == label else _labelled(_kind(state), label)(*state)


def label_of(state: Any) -> str | None:
    """The label of a state, None if it has none."""
    return getattr(type(state), "label", None)


def plain(tree: Any) -> Any:
    """The same tree of NamedTuples without labels, so that states of several strategies have one type.

    >>> from typing import NamedTuple
    >>> class Point(NamedTuple):
    ...     x: float
    >>> label_of(plain(labelled(Point(1.0), "two"))) is None
    True
    """
    if not hasattr(tree, "_fields"):
        return tree
    return _kind(tree)(*map(plain, tree))


def _kind(state: Any) -> type:
    kind = type(state)
    return kind if label_of(state) is None else kind.__bases__[0]
