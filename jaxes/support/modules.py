"""MODULE:NAME, as the command line takes what a user has written."""

import difflib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def imported(text: str, what: str) -> ModuleType:
    """The module of MODULE:NAME, also of the current folder, which the scripts of a package do not look into.

    Args:
        text: MODULE:NAME.
        what: it stands for, for errors, such as "environment".

    Raises:
        ValueError: if there is no such module; what the module itself raises is its own.

    >>> imported("math:cos", "function").__name__
    'math'
    """
    module = text.partition(":")[0]
    if module.endswith(".py"):
        raise ValueError(f"{what} {text!r} must begin with a module: the one in that file is {Path(module).stem}")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{what} {text!r}: {module!r} is no name of a module")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{what} {text!r}: there is no module {module} here or among those installed; run in the folder of "
            f"{module.partition('.')[0]}.py, or put that folder into PYTHONPATH"
        ) from None


def found(text: str, what: str) -> Any:
    """What MODULE:NAME stands for; NAME may have dots.

    Raises:
        ValueError: if there is no such module, or it has no such name; the message has the nearest ones.

    >>> found("math:coss", "function")
    Traceback (most recent call last):
    ValueError: function 'math:coss': the module math has no coss; did you mean cos, cosh, acos?
    """
    module, _, name = text.partition(":")
    value: Any = imported(text, what)
    for part in name.split("."):
        if not hasattr(value, part):
            near = difflib.get_close_matches(part, [x for x in dir(value) if not x.startswith("_")], n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ValueError(f"{what} {text!r}: the module {module} has no {name}{hint}")
        value = getattr(value, part)
    return value
