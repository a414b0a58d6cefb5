"""Every environment has one name: SUITE/NAME, or MODULE:NAME for what a module of your own holds."""

import difflib
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxes.envs import contract
from jaxes.envs.protocol import Discrete, Env
from jaxes.support import checks, modules
from jaxes.support.numerals import plain


class Suite(NamedTuple):
    """Where the environments of a suite come from.

    The module has `make(name, **options)` and two tables, so that listing imports no package: `MAX_STEPS`, names with
    their time limits, and `SIZES`, names with the sizes of observations and actions (a `Discrete` for choices).
    """

    module: str
    package: str  # must be installed
    extra: str | None  # of jaxes, which brings the package; None if jaxes itself depends on the package
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


_own: dict[str, Callable[..., Env]] = {}


def register(name: str, make: Callable[..., Env]) -> None:
    """Give an environment of your own a name, for `jaxes.envs.make` and the command line.

    The command line knows it in a process that has registered it: `jaxes train module:me/Name` imports the module
    first. Without any registration, `jaxes train module:make` finds a function or an `Env` in a module.

    Args:
        name: such as "me/Name"; what is before the slash must be no suite of jaxes.
        make: `make(**options) -> Env`.

    Raises:
        ValueError: if the name is of another form, or taken by another function.
        TypeError: if `make` is no function.

    >>> import jaxes
    >>> jaxes.envs.register("docs/Twice", lambda: jaxes.envs.repeated(jaxes.envs.make("jaxes/cartpole_swingup"), 2))
    >>> jaxes.envs.make("docs/Twice").max_steps
    500
    """
    suite, slash, short = name.partition("/") if isinstance(name, str) else ("", "", "")
    if not (suite and slash and short) or ":" in name:
        raise ValueError(f"name must be of the form 'me/Name', got {name!r}")
    if suite in SUITES:
        raise ValueError(f"name must not begin with {suite}/, which is a suite of jaxes; got {name!r}")
    if isinstance(make, Env) or not callable(make):
        raise TypeError(f"make must be a function that returns a jaxes.envs.Env, such as lambda: env; got {make!r}")
    where = lambda function: (getattr(function, "__module__", None), getattr(function, "__qualname__", function))
    if where(_own.get(name, make)) != where(make):  # the same function may be defined anew, as notebooks do
        raise ValueError(f"name {name!r} is taken by another environment")
    _own[name] = make


def make(name: str, **options: Any) -> Env:
    """Make an environment by its name.

    Args:
        name: SUITE/NAME such as "brax/ant", of which `jaxes envs` lists all, without its version where there is one
            version only; a name of your own, see `register`; or MODULE:NAME for a function `(**options) -> Env`, or an
            `Env`, in a module that can be imported (also from the current folder).
        **options: for the suite (`backend="spring"` for Brax) and for the environment.

    Returns:
        An `Env`; its observations are a tree of arrays and its actions a `Box`, a `Discrete` or a `MultiDiscrete`. Your
        own are checked by `jaxes.envs.check`.

    Raises:
        ValueError: if there is no such name; the message has the nearest names.
        ImportError: if the suite's package is missing; the message says what to install.
        TypeError: if what your own name stands for makes no environment, or knows no such option.
        Exception: whatever your own function raises.

    >>> import jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> env.observation.shape, env.action.low.shape, env.max_steps
    ((5,), (1,), 1000)
    """
    check_name(name)
    if (found := _found(name)) is not None:
        return contract.checked(_made(name, found, options))
    suite, short = _versioned(name).split("/", 1)
    made_by = importlib.import_module(SUITES[suite].module).make
    _check_options(name, functools.partial(made_by, short), options)
    return contract.known(made_by(short, **plain(options)))


def check_name(name: str) -> None:
    """Raise ValueError unless there may be an environment of this name, a string.

    Some suites have more environments than they list; a name that begins with such a suite passes. The module of
    MODULE:NAME is imported.

    >>> from jaxes import envs
    >>> envs.check_name("brax/hoper")
    Traceback (most recent call last):
    ValueError: unknown environment 'brax/hoper'; did you mean brax/hopper, brax/pusher, brax/reacher?
    """
    if not isinstance(name, str):
        raise ValueError(f"env must be the name of an environment, such as 'brax/ant', got {name!r}")
    suite, slash, _ = name.partition("/")
    if (suite in SUITES and SUITES[suite].open and slash) or _found(name) is not None:
        return
    name = _versioned(name)
    known = {name.partition("/")[0] for name in (*SUITES, *_own)}
    if slash and not difflib.get_close_matches(suite, known):
        raise ValueError(
            f"unknown environment {name!r}: {suite!r} is none of the suites ({', '.join(SUITES)}). One of your own: "
            f"jaxes.envs.register({name!r}, make) first; on the command line name the module that does so, as in "
            f"`jaxes train my_module:{name}`, or what makes it, my_module:make; an id of gymnasium's registry: "
            f"gymnasium/{name}"
        )
    try:
        checks.choice("environment", name, names())
    except ValueError as error:
        own = "" if suite in SUITES else "; your own: jaxes.envs.register, and MODULE:NAME on the command line"
        raise ValueError(f"{error}{own}") from None


def _versioned(name: str) -> str:
    """The name with its version, if it lacks one and its suite lists one version only; else the name as it is.

    >>> _versioned("gymnax/CartPole")
    'gymnax/CartPole-v1'
    """
    suite = SUITES.get(name.partition("/")[0])
    if suite is None or suite.open:
        return name
    versions = [known for known in names() if known.startswith(f"{name}-v") and known[len(name) + 2 :].isdigit()]
    return versions[0] if len(versions) == 1 else name


def _found(name: str) -> Any:
    """What a name of the user's own stands for; None for names of suites."""
    if name in _own:
        return _own[name]
    module_name, colon, short = name.partition(":")
    if not colon or "/" in module_name:
        return None
    modules.imported(name, "environment")  # which may register it
    return _own[short] if short in _own else modules.found(name, "environment")


def _made(name: str, found: Any, options: dict[str, Any]) -> Env:
    if isinstance(found, Env):
        if options:
            raise TypeError(f"environment {name!r} is an Env and has no options, got {', '.join(options)}")
        return found
    if not callable(found):
        raise TypeError(f"environment {name!r} must be an Env or a function that returns one, got {found!r}")
    _check_options(name, found, options)
    env = found(**options)
    if not isinstance(env, Env):
        raise TypeError(f"environment {name!r} must give a jaxes.envs.Env, got {type(env).__name__}")
    return env


def _check_options(name: str, make: Callable[..., Env], options: dict[str, Any]) -> None:
    """Raise TypeError for options that a function does not take; what it raises itself is its own."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # of some functions that are not written in Python
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        given = options or "no options"
        raise TypeError(f"environment {name!r} could not be made with {given}: {error}; it takes {signature}") from None


def names() -> list[str]:
    """The names of all environments that are listed, whether their packages are installed or not, and your own.

    >>> from jaxes import envs
    >>> "jaxes/tetris" in envs.names()
    True
    """
    listed = [(suite, importlib.import_module(SUITES[suite].module).MAX_STEPS) for suite in SUITES]
    return [f"{suite}/{name}" for suite, limits in listed for name in limits] + list(_own)


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
