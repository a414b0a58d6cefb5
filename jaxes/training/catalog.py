"""Lists for the command line: environments, and strategies with their settings."""

import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jaxes import envs
from jaxes.strategies import STRATEGIES
from jaxes.support import checks, extras
from jaxes.training import presets


def environments(patterns: Sequence[str] = ()) -> Iterable[str]:
    """The lines of `jaxes envs`: a table of the environments whose names have one of the patterns in them, or all."""
    rows = list(envs.listing())
    found = [row for row in rows if not patterns or any(pattern.lower() in row.name.lower() for pattern in patterns)]
    if not found:
        names = [*envs.SUITES, *(row.name for row in rows), *(row.name.partition("/")[2] for row in rows)]
        try:
            checks.choice("environment", " ".join(patterns), names)
        except ValueError as error:
            raise ValueError(f"{error}; suites: {', '.join(envs.SUITES)}") from None
    yield f"{'environment':34} {'observation':>11}  {'action':11} {'steps':>5}"
    for row in found:
        action = f"{row.action.n} choices" if isinstance(row.action, envs.Discrete) else row.action
        needs = "" if row.extra is None else f"  needs the extra {row.extra}"
        note = f"  {presets.WITHOUT[row.name]}" if row.name in presets.WITHOUT else ""
        yield f"{row.name:34} {row.observation:11}  {action!s:11} {row.max_steps:5}{needs}{note}"
    for extra in dict.fromkeys(row.extra for row in found if row.extra is not None):
        yield f"the extra {extra}: {extras.install(extra, extra)}"


def strategies(names: Sequence[str] = ()) -> Iterable[str]:
    """The lines of `jaxes strategies`: all in short, or what there is to know of some."""
    for name in names:
        known = checks.named("strategy", name, STRATEGIES)
        yield from _details(known, STRATEGIES[known])
    if names:
        return
    for name, factory in STRATEGIES.items():
        settings = [setting for setting in inspect.signature(factory).parameters if setting != "population_size"]
        yield from (name, f"    {_about(factory).splitlines()[0]}", f"    {' '.join(settings)}")


def _details(name: str, factory: Callable) -> Iterable[str]:
    """What its module says, and each setting with its default and what the factory says of it."""
    yield from (name, *(f"    {line}".rstrip() for line in _about(factory).splitlines()), "")
    told = _told(factory)
    yield f"    {'setting':20} {'default':9} what it is"
    parameters = inspect.signature(factory).parameters.values()
    said = [(setting.name, _default(setting.default), told.get(setting.name, "")) for setting in parameters]
    for (default, text), alike in itertools.groupby(said, key=lambda row: row[1:]):  # several in one place
        names = textwrap.wrap(", ".join(row[0] for row in alike), 20)
        for left, middle, right in itertools.zip_longest(names, [default], textwrap.wrap(text, 84), fillvalue=""):
            yield f"    {left:20} {middle:9} {right}".rstrip()
    yield ""


def _about(factory: Callable) -> str:
    return inspect.getdoc(inspect.getmodule(factory)) or ""


def _default(value: Any) -> str:
    """A default as the command line would take it, or what the text beside it says of it."""
    if value is inspect.Parameter.empty:
        return "required"
    return "see text" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _told(factory: Callable) -> dict[str, str]:
    """What the docstring of a factory says of its arguments."""
    told: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(factory) or "").partition("Args:\n")[2].splitlines():
        if line and not line.startswith("    "):
            break
        if line[4:5].strip():
            head, _, line = line.partition(": ")
            names = [name.strip() for name in head.split(",")]
        for name in names:
            told[name] = f"{told.get(name, '')} {line.strip()}".strip()
    return told
