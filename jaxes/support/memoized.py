"""Factories that return the same object for the same settings, so that `jit` compiles its functions only once."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from jaxes.support import checks

P = ParamSpec("P")
T = TypeVar("T")
_MADE, _IS_FACTORY = "_jaxes_made", "_jaxes_is_factory"


class Made(NamedTuple):
    """How an object was made; called, it makes the same object again."""

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self) -> Any:
        return self.factory(*map(_again, self.args), **{name: _again(value) for name, value in self.kwargs.items()})


def memoized(factory: Callable[P, T]) -> Callable[P, T]:
    """The factory with a cache: for equal arguments that can be hashed it returns the object that it made before.

    A strategy is made of closures, and `jit` keeps a program for each function. Without the cache, a second
    `jaxes.cma_es(8)` would compile everything again. What it makes remembers how it was made (`recipe`), so that it can
    be pickled.

    >>> import jaxes
    >>> jaxes.cma_es(8, 0.5) is jaxes.cma_es(8, 0.5)
    True
    """

    def once(*args, **kwargs):
        result = factory(*args, **kwargs)
        first = result[0] if isinstance(result, tuple) else result
        if recipe(result) is None:
            setattr(first, _MADE, (Made(make, args, kwargs), result))
        return result

    kept = functools.lru_cache(maxsize=256, typed=True)(once)

    @functools.wraps(factory)
    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return once(*args, **kwargs)
        return kept(*args, **kwargs)

    setattr(make, _IS_FACTORY, True)
    return make


def recipe(thing: Any) -> Made | None:
    """How a memoized factory made a function or a tuple of functions; None for anything else.

    >>> import jaxes
    >>> recipe(jaxes.cma_es(8, 0.5)).args
    (8, 0.5)
    """
    first = thing[0] if isinstance(thing, tuple) and thing else thing
    made, result = getattr(first, _MADE, (None, None))
    same = result is thing or (isinstance(thing, tuple) and isinstance(result, tuple) and result == thing)
    return made if same else None


def pickled(thing: tuple) -> tuple[Any, ...]:
    """What `__reduce__` of a tuple of functions returns: how it was made, or else its functions."""
    made = recipe(thing)
    if made is None:
        return type(thing), tuple(thing)
    kwargs = {name: _recorded(value) for name, value in made.kwargs.items()}
    return _remade, (made.factory, tuple(map(_recorded, made.args)), kwargs)


def given(
    what: str, value: Any, known: Mapping[str, Callable[[], T]], usual: Callable[[], T], fits: Callable[[Any], bool]
) -> T:
    """An argument that may be left out (None), or given by its name, as a factory or as what the factory makes.

    Args:
        what: the argument's name.
        value: what was given.
        known: factories by name.
        usual: makes what stands for None.
        fits: whether a value is what a factory makes.
    """
    if value is None:
        return usual()
    if isinstance(value, str):
        return known[checks.choice(what, value, known)]()
    if getattr(value, _IS_FACTORY, False):
        required = [p.name for p in inspect.signature(value).parameters.values() if p.default is p.empty]
        if required:
            name = value.__name__
            raise TypeError(f"{what} {name} must be called with its {required[0]}: {name}({required[0]}=...)")
        return value()
    if not fits(value):
        raise TypeError(f"{what} must be one of jaxes.{what} or its name ({', '.join(known)}), got {value!r}")
    return value


def _recorded(value: Any) -> Any:
    """An argument as it is pickled: functions that a factory has made, by how they were made."""
    made = recipe(value)
    if made is None or isinstance(value, tuple):
        return value
    return Made(made.factory, tuple(map(_recorded, made.args)), {k: _recorded(v) for k, v in made.kwargs.items()})


def _again(value: Any) -> Any:
    return value() if isinstance(value, Made) else value


def _remade(factory: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    return Made(factory, args, kwargs)()
