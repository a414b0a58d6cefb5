"""Every environment has one name, SUITE/NAME."""

import importlib
import importlib.util
from typing import Any, NamedTuple

from jaxes.envs import contract
from jaxes.envs.protocol import Discrete, Env
from jaxes.support import checks


class Suite(NamedTuple):
    """Where the environments of a suite come from.

    The module has `make(name, **options)` and two tables, so that listing imports no package: `MAX_STEPS`, names with
    their time limits, and `SIZES`, names with the sizes of observations and actions (a `Discrete` for choices).
    """

    module: str
    package: str  # must be installed
    extra: str | None  # by pip install 'jaxes[extra]'; None if jaxes itself depends on the package
    open: bool = False  # whether there are more environments than those in the tables


class Listed(NamedTuple):
    """A row of `listing`: an environment with its default options."""

    name: str
    observation: int  # numbers in one observation
    action: int | Discrete  # numbers in one action, or the choices
    max_steps: int
    extra: str | None  # must be installed first; None if nothing is missing


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
    """Make the environment SUITE/NAME.

    Args:
        name: such as "brax/ant"; `jaxes envs` lists all names.
        **options: for the suite (`backend="spring"` for Brax) and for the environment.

    Returns:
        An `Env`; its observations are a tree of arrays and its actions a `Box` or a `Discrete`.

    Raises:
        ValueError: if there is no such name; the message has the nearest names.
        ImportError: if the suite's package is missing; the message says what to install.

    >>> import jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> env.observation.shape, env.action.low.shape, env.max_steps
    ((5,), (1,), 1000)
    """
    check_name(name)
    suite, short = name.split("/", 1)
    return contract.known(importlib.import_module(SUITES[suite].module).make(short, **options))


def check_name(name: str) -> None:
    """Raise ValueError unless there may be an environment of this name, a string SUITE/NAME.

    Some suites have more environments than they list; a name that begins with such a suite passes.

    >>> from jaxes import envs
    >>> envs.check_name("brax/hoper")
    Traceback (most recent call last):
    ValueError: unknown environment 'brax/hoper'; did you mean brax/hopper, brax/pusher, brax/reacher?
    """
    suite = name.partition("/")[0]
    if not (suite in SUITES and SUITES[suite].open and "/" in name):
        checks.choice("environment", name, names())


def names() -> list[str]:
    """The names of all environments that are listed, whether their packages are installed or not.

    >>> from jaxes import envs
    >>> "jaxes/tetris" in envs.names()
    True
    """
    return [f"{suite}/{name}" for suite in SUITES for name in importlib.import_module(SUITES[suite].module).MAX_STEPS]


def listing() -> list[Listed]:
    """All environments with their sizes, read from tables: no package is imported and nothing is made.

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
