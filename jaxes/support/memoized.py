"""Factories that return the same object for the same settings, so that `jit` compiles its functions only once."""

import functools
import inspect
import pickle
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from jaxes.support import checks
from jaxes.support.closures import dumps

P = ParamSpec("P")
T = TypeVar("T")
_MADE, _IS_FACTORY = "_jaxes_made", "_jaxes_is_factory"


class Made(NamedTuple):
    """How an object was made; called, it makes the same object again."""

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self) -> Any:
        return self.factory(*self.args, **self.kwargs)


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
    """What `__reduce__` of a tuple of functions returns: how it was made, or else its functions.

    Raises:
        pickle.PicklingError: if an argument of its factory cannot be pickled.
    """
    made = recipe(thing)
    if made is None:
        return type(thing), tuple(thing)
    try:
        return _unpickled, (dumps(made, _reduced),)
    except NotPicklable:
        raise  # of something inside, by its own name
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if any(name in frame.filename for frame in traceback.extract_stack() for name in ("cloudpickle", "dill")):
            return Made.__call__, (made,)  # they take functions by their code
        name, advice = _culprit(made)
        raise NotPicklable(
            f"{name}{made.factory.__name__} cannot be pickled ({error}): give {advice}; or pickle with cloudpickle"
        ) from error


class NotPicklable(pickle.PicklingError):
    """Says which argument it is."""


def _culprit(made: Made) -> tuple[str, str]:
    """The name of the argument that cannot be pickled, and what to give instead."""
    names = inspect.signature(made.factory).parameters
    for name, value in [*zip(names, made.args, strict=False), *made.kwargs.items()]:
        try:
            dumps(value, _reduced)
        except (pickle.PicklingError, AttributeError, TypeError):
            if callable(value):
                return f"{name} of ", "a function that a module has under its name"
            return f"{name} of ", "a factory that is not called, such as functools.partial(optax.adam, 0.01)"
    return "", "functions that a module has under their names"


@functools.lru_cache(maxsize=256)
def _unpickled(recorded: bytes) -> Any:
    """What was made, the same object for the same bytes, so that nothing is compiled again."""
    return pickle.loads(recorded)()


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
        return known[checks.named(what, value, known)]()
    if getattr(value, _IS_FACTORY, False):
        required = [p.name for p in inspect.signature(value).parameters.values() if p.default is p.empty]
        if required:
            name = value.__name__
            raise TypeError(f"{what} {name} must be called with its {required[0]}: {name}({required[0]}=...)")
        return value()
    if not fits(value):
        raise TypeError(f"{what} must be one of jaxes.{what} or its name ({', '.join(known)}), got {value!r}")
    return value


def _reduced(value: Any) -> tuple[Any, ...] | None:
    """What `__reduce__` of a function that a factory has made would return."""
    how = None if isinstance(value, tuple) else recipe(value)  # tuples of a factory know how they are pickled
    return None if how is None else (how.factory, how.args) if not how.kwargs else (Made.__call__, (how,))
