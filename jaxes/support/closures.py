"""Functions that were made inside other functions, as data that can be pickled.

Python's pickle takes a function by its module and name, which a function inside another one does not have. But its code
is a constant of the outer function's code, so the outer function's name, the number of the constant, and the values
that the inner function closes over make it again, with the same version of the module.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

_INSIDE = ".<locals>."


class Closure(NamedTuple):
    """A function inside another one."""

    module: str
    outer: str  # name of the outermost function in the module, with the classes that it is in
    number: int  # of its code among the codes inside the outermost function
    name: str  # for errors
    values: tuple[Any, ...]  # what it closes over
    defaults: tuple[Any, ...]  # of its arguments
    keyword_defaults: dict[str, Any]

    def __call__(self) -> Callable[..., Any]:
        """Make the function.

        Raises:
            ValueError: if the module has another version, in which the function is not the same.
        """
        codes = list(_inside(self.module, self.outer))
        code = codes[self.number] if self.number < len(codes) else None
        if code is None or code.co_qualname != self.name or len(code.co_freevars) != len(self.values):
            raise ValueError(f"{self.module}.{self.name} was pickled with another version of {self.module}")
        cells = tuple(map(CellType, self.values))
        space = vars(importlib.import_module(self.module))
        function = FunctionType(code, space, code.co_name, self.defaults or None, cells)
        function.__kwdefaults__ = self.keyword_defaults or None
        return function


def closure(function: Any) -> Closure | None:
    """How a function inside another one is made; None for anything else, or if its outer function is not found.

    >>> import optax
    >>> half = closure(optax.constant_schedule(0.5))
    >>> half.name, half.values, half()(3)
    ('constant_schedule.<locals>.<lambda>', (0.5,), 0.5)
    """
    if not isinstance(function, FunctionType) or _INSIDE not in function.__qualname__:
        return None
    outer = function.__code__.co_qualname.partition(_INSIDE)[0]
    try:
        codes = list(_inside(function.__module__, outer))
        values = tuple(cell.cell_contents for cell in function.__closure__ or ())
        number = codes.index(function.__code__)
    except (ImportError, AttributeError, ValueError):
        return None
    defaults, keyword_defaults = function.__defaults__ or (), function.__kwdefaults__ or {}
    return Closure(
        function.__module__, outer, number, function.__code__.co_qualname, values, defaults, keyword_defaults
    )


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
