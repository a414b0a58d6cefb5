"""One name for every environment: SUITE/NAME."""

import importlib
import importlib.util
from typing import Any, NamedTuple

from jaxes.envs.protocol import Discrete, Env
from jaxes.support import checks


class Suite(NamedTuple):
    # Has make(name, **options) and two tables, so that listing imports no package: MAX_STEPS, its names with their time
    # limits, and SIZES, of observations and actions (a Discrete where there are choices).
    module: str
    package: str  # what must be installed
    extra: str | None  # how: pip install 'jaxes[extra]'; None if jaxes itself depends on it
    open: bool = False  # whether it knows others than those that it lists


class Listed(NamedTuple):
    """What `listing` tells of an environment with its default options."""

    name: str
    observation: int  # numbers in one observation
    action: int | Discrete  # numbers in one action, or its choices
    max_steps: int
    extra: str | None  # to be installed first; None if nothing is missing


SUITES = {
    "ale": Suite("jaxes.envs.suites.ale", "ale_py", "ale", open=True),
    "brax": Suite("jaxes.envs.suites.brax", "brax", None),
    "envpool": Suite("jaxes.envs.suites.envpool", "envpool", "envpool", open=True),
    "gymnasium": Suite("jaxes.envs.suites.gymnasium", "gymnasium", "gymnasium", open=True),
    "gymnax": Suite("jaxes.envs.suites.gymnax", "gymnax", "gymnax"),
    "jaxes": Suite("jaxes.envs.own", "jaxes", None),
    "mujoco": Suite("jaxes.envs.suites.mujoco", "gymnasium", "mujoco"),
    "playground": Suite("jaxes.envs.suites.playground", "mujoco_playground", "playground"),
}


def make(name: str, **options: Any) -> Env:
    """The environment SUITE/NAME.

    Args:
        name: such as "brax/ant"; `jaxes envs` lists them.
        **options: of the suite (`backend="spring"` for Brax) and of the environment.

    Raises:
        ValueError: if there is no such name; the message has the nearest ones.
        ImportError: if the suite's package is missing; the message says what to install.

    >>> import jaxes
    >>> env = jaxes.envs.make("brax/inverted_pendulum")
    >>> env.observation.shape, env.action.low.shape, env.max_steps
    ((4,), (1,), 1000)
    """
    check(name)
    suite, short = name.split("/", 1)
    return importlib.import_module(SUITES[suite].module).make(short, **options)


def check(name: str) -> None:
    """Raise ValueError, with the nearest names, unless there may be an environment of this name."""
    suite = name.partition("/")[0]
    if not (suite in SUITES and SUITES[suite].open and "/" in name):
        checks.choice("environment", name, names())


def names() -> list[str]:
    """All environments, installed or not."""
    return [f"{suite}/{name}" for suite in SUITES for name in importlib.import_module(SUITES[suite].module).MAX_STEPS]


def listing() -> list[Listed]:
    """All environments with their sizes, from tables: nothing is imported or made.

    >>> from jaxes import envs
    >>> next(row for row in envs.listing() if row.name == "brax/ant")[:4]
    ('brax/ant', 27, 8, 1000)
    """
    rows = []
    for name, suite in SUITES.items():
        module = importlib.import_module(suite.module)
        extra = None if importlib.util.find_spec(suite.package) else suite.extra
        for short, limit in module.MAX_STEPS.items():
            observation, action = module.SIZES[short]
            rows.append(Listed(f"{name}/{short}", observation, action, limit, extra))
    return rows
