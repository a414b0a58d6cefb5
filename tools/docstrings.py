"""Every public name has a docstring; functions show their arguments' shapes and an example: `make lint`.

Public is what `jaxes` and its public packages list in `__all__`.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

PACKAGES = (
    "jaxes",
    "jaxes.envs",
    "jaxes.lowrank",
    "jaxes.noise",
    "jaxes.parallel",
    "jaxes.planning",
    "jaxes.rl",
    "jaxes.search",
    "jaxes.shaping",
    "jaxes.strategies",
    "jaxes.supervised",
    "jaxes.termination",
    "jaxes.training",
    "jaxes.wrappers",
    "jaxes.envs.tetris",
)
# What runs only where a package, a folder or other processes are: an example could not be run as it stands.
NO_EXAMPLE = {
    "jaxes.parallel:join",
    "jaxes.strict",
    "jaxes.training:build",
    "jaxes.training:prepare",
    "jaxes.training:resume",
    "jaxes.training:to_resume",
    "jaxes.training:train",
}
SHAPE = re.compile(
    r"(float|int|uint|bool|key|complex)\w*\[|scalar|leaves \[|shape|tree|array|-> |number|string|like the"
)


def names() -> Iterator[tuple[str, Any]]:
    """Every public name once, with what it stands for."""
    seen = set()
    for package in PACKAGES:
        module = importlib.import_module(package)
        listed = getattr(module, "__all__", None) or own(module)
        for name in listed:
            thing = getattr(module, name)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and id(thing) not in seen:
                seen.add(id(thing))
                yield f"{package}:{name}", thing


def own(module: Any) -> list[str]:
    """The public functions and classes that a module without `__all__` defines."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == module.__name__
    ]


def faults(name: str, thing: Any) -> Iterator[str]:
    """What is missing in the docstring of a public name."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)
    if not text or (inspect.isclass(thing) and text.startswith(f"{thing.__name__}(")):
        yield f"{name}: no docstring"
        return
    if inspect.isclass(thing) or not inspect.isfunction(inspect.unwrap(thing)):
        return
    if ">>>" not in text and name not in NO_EXAMPLE and name.replace(":", ".") not in NO_EXAMPLE:
        yield f"{name}: no example"
    if inspect.signature(thing).parameters and not SHAPE.search(text):
        yield f"{name}: no shapes"


def main() -> int:
    """Print what is missing; the number of faults as the exit status, at most 1."""
    found = [fault for name, thing in names() for fault in faults(name, thing)]
    print("\n".join(found) or "every public name has its docstring")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
