"""One name for every environment: SUITE/NAME."""

import importlib
from typing import Any, NamedTuple

from jaxes import checks
from jaxes.envs.protocol import Env


class Suite(NamedTuple):
    module: str  # has make(name, **options) and MAX_STEPS: its names with their time limits
    package: str  # what must be installed
    extra: str | None  # how: pip install 'jaxes[extra]'; None if jaxes itself depends on it


SUITES = {
    "brax": Suite("jaxes.envs.brax", "brax", None),
    "gymnax": Suite("jaxes.envs.gymnax", "gymnax", "gymnax"),
    "playground": Suite("jaxes.envs.playground", "mujoco_playground", "playground"),
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
    checks.choice("environment", name, names())
    suite, short = name.split("/", 1)
    return importlib.import_module(SUITES[suite].module).make(short, **options)


def names() -> list[str]:
    """All environments, installed or not."""
    return [f"{suite}/{name}" for suite in SUITES for name in importlib.import_module(SUITES[suite].module).MAX_STEPS]
