"""Functions that were made inside other functions, as data that can be pickled.

Python's pickle takes a function by its module and name, which a function inside another one does not have. But its code
is a constant of the outer function's code, so the outer function's name, the number of the constant, and the values
that the inner function closes over make it again, with the same version of the module.
"""

import importlib
import inspect
import io
import pickle
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

_INSIDE = ".<locals>."
_PUBLIC = ("jax.numpy", "jax.lax", "jax.nn", "jax.numpy.linalg", "jax.scipy.special", "jax.random", "jax")
"""Where functions of JAX stand."""


class Empty:
    """Stands for a variable that an inner function closes over and that has no value yet."""


def dumps(value: Any, reduced: Callable[[Any], Any] = lambda value: None) -> bytes:
    """`pickle.dumps`, also of functions inside other functions.

    Args:
        value: what to pickle.
        reduced: what `__reduce__` of an object within would return; None for those that are pickled as usual.

    >>> import optax
    >>> pickle.loads(dumps(optax.exponential_decay(0.5, 10, 0.5)))(0).item()
    0.5
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.reduced = reduced
    pickler.dump(value)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    reduced: Callable[[Any], Any]

    def reducer_override(self, value: Any) -> Any:
        for how in (self.reduced, closure, _public):
            if (found := how(value)) is not None:
                return found
        return NotImplemented


def closure(function: Any) -> tuple[Any, ...] | None:
    """What `__reduce__` of a function inside another one returns; None for anything else, or if it is not found.

    >>> import optax
    >>> make, (module, outer, number, name, count), values, *_ = closure(optax.constant_schedule(0.5))
    >>> name, values[0]
    ('constant_schedule.<locals>.<lambda>', (0.5,))
    """
    if not isinstance(function, FunctionType) or _INSIDE not in function.__qualname__:
        return None
    code, cells = function.__code__, function.__closure__ or ()
    outer = code.co_qualname.partition(_INSIDE)[0]
    try:
        number = list(_inside(function.__module__, outer)).index(code)
    except (ImportError, AttributeError, ValueError):
        return None
    values = tuple(map(_content, cells)), function.__defaults__, function.__kwdefaults__
    # The values come after the function, which may be one of them.
    return _made, (function.__module__, outer, number, code.co_qualname, len(cells)), values, None, None, _fill


def _made(module: str, outer: str, number: int, name: str, count: int) -> FunctionType:
    """The function `name`, the code of that number inside the function `outer`, with `count` empty cells.

    Raises:
        ValueError: if the module has another version, in which the function is not the same.
    """
    codes = list(_inside(module, outer))
    code = codes[number] if number < len(codes) else None
    if code is None or code.co_qualname != name or len(code.co_freevars) != count:
        raise ValueError(f"{module}.{name} was pickled with another version of {module}")
    cells = tuple(CellType() for _ in range(count))
    return FunctionType(code, vars(importlib.import_module(module)), code.co_name, None, cells)


def _fill(function: FunctionType, state: tuple[Any, ...]) -> None:
    values, function.__defaults__, function.__kwdefaults__ = state
    for cell, value in zip(function.__closure__ or (), values, strict=True):
        if value is not Empty:
            cell.cell_contents = value


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return Empty


def _public(function: Any) -> tuple[Any, ...] | None:
    """What `__reduce__` of a function of JAX returns: its public name. Some are objects that cannot be pickled."""
    name, module = getattr(function, "__name__", None), getattr(function, "__module__", None)
    if isinstance(function, type) or not (callable(function) and isinstance(name, str) and isinstance(module, str)):
        return None
    if module.partition(".")[0] not in ("jax", "jaxlib"):
        return None
    for public in _PUBLIC:
        if getattr(importlib.import_module(public), name, None) is function:
            return _found, (public, name)
    return None


def _found(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _inside(module: str, outer: str) -> Iterator[CodeType]:
    """The codes of all functions inside a module's function, in the order they are written."""
    found: Any = importlib.import_module(module)
    for name in outer.split("."):
        found = getattr(found, name)
    yield from _below(inspect.unwrap(found).__code__)


def _below(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _below(constant)
