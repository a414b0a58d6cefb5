"""What an environment must keep, checked once and told in sentences before anything is compiled."""

import math
from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxes.envs.protocol import Box, Discrete, Env, MultiDiscrete
from jaxes.envs.tracing import action_shape, described, traced, with_functions
from jaxes.support import checks


class _Functions(NamedTuple):
    """What was made of the functions of an environment, which are kept so that nothing else gets their ids."""

    given: tuple[Any, Any]
    fine: tuple[Any, Any]


_checked: OrderedDict[Any, _Functions] = OrderedDict()
"""Environments that were checked, by their functions and shapes."""

_MOST_CHECKED = 64
_MAKE = "make one with jaxes.envs.make, or see examples/own_environment.py for your own"


def check(env: Any) -> Env:
    """Check an environment by tracing a reset and a step, and return it as `jaxes.rl` wants it.

    `jaxes.rl.rollout` does so; do it yourself to learn early what is wrong with an environment of your own. What is
    harmless is converted: rewards that are ints or bools or have the shape (1,), `done` as a number (1.0 as in Brax),
    observations of another dtype than `env.observation` has (from ints to floats), and a state whose dtypes at a reset
    are narrower than after a step. An environment that runs in Python processes is made once, reset and stepped.

    Args:
        env: a `jaxes.envs.Env`.

    Returns:
        The same environment, or one that converts.

    Raises:
        TypeError: if it is no `Env`, its functions cannot be traced or do not return an `EnvState`, or keep values from
            one call to the next.
        ValueError: if shapes, dtypes or numbers do not fit each other.

    >>> import jax.numpy as jnp, jaxes
    >>> env = jaxes.envs.make("jaxes/cartpole_swingup")
    >>> jaxes.envs.check(env) is env
    True
    >>> wrong = env._replace(step=lambda state, action: env.step(state, action).observation)
    >>> jaxes.envs.check(wrong)
    Traceback (most recent call last):
    TypeError: step of jaxes/cartpole_swingup must return a jaxes.envs.EnvState, got an array float32[5]
    """
    fields(env)
    if env.lanes is None:
        return _remembered(env, traced(env))
    _step_lanes(env)
    return env


def checked(env: Any) -> Env:
    """`check` where it has not been done: neither for an environment again, nor for one that `known` was told of.

    An environment that runs in Python processes is not made.
    """
    fields(env)
    if env.lanes is not None:
        return env
    found = _checked.get(_name(env))
    return _remembered(env, traced(env)) if found is None else with_functions(env, *found.fine)


def known(env: Env) -> Env:
    """The same environment, of which `checked` takes for granted that it keeps the contract."""
    return env if env.lanes is not None else _remembered(env, env)


def _remembered(env: Env, fine: Env) -> Env:
    for one in (env, fine):
        _checked[_name(one)] = _Functions((one.reset, one.step), (fine.reset, fine.step))
    while len(_checked) > _MOST_CHECKED:
        _checked.popitem(last=False)
    return fine


def _name(env: Env) -> Any:
    action = f"{env.action.low.shape}" if isinstance(env.action, Box) else env.action
    return id(env.reset), id(env.step), f"{env.observation} {action}"


def fields(env: Any) -> None:
    """Check what can be seen without calling anything: that it is an `Env`, and its fields.

    Raises:
        TypeError: if it is something else; the message says what to do with it.
        ValueError: if a field makes no sense.
    """
    if not isinstance(env, Env):
        raise TypeError(f"env must be a jaxes.envs.Env, got {_foreign(env)}")
    for name in ("reset", "step"):
        if not callable(getattr(env, name)):
            raise TypeError(f"{name} of {env.name} must be a function, got {getattr(env, name)!r}")
    leaves = jax.tree.leaves(env.observation)
    if not leaves or not all(hasattr(x, "shape") and isinstance(getattr(x, "dtype", None), np.dtype) for x in leaves):
        raise TypeError(
            f"observation of {env.name} must be a jax.ShapeDtypeStruct or a tree of them, got {env.observation!r}; "
            "jax.eval_shape(reset, jax.random.key(0)).observation gives it"
        )
    _check_action(env)
    checks.integer(f"max_steps of {env.name}", env.max_steps)
    checks.real(f"step_seconds of {env.name}", env.step_seconds, "of 0 or more", lambda x: 0 <= x < math.inf)


def _check_action(env: Env) -> None:
    action, name = env.action, f"action of {env.name}"
    match action:
        case Discrete(n):
            checks.integer(f"n of the {name}", n)
        case MultiDiscrete(counts):
            if not counts or not all(map(checks.is_integer, counts)):
                raise ValueError(f"counts of the {name} must be ints of 1 or more, got {counts!r}")
        case Box(low, high):
            if not all(isinstance(x, np.ndarray | jax.Array) for x in (low, high)) or low.shape != high.shape:
                raise TypeError(f"low and high of the {name} must be arrays of one shape, got {low!r} and {high!r}")
            if not low.size or not bool(np.all(np.asarray(low) <= np.asarray(high))):  # NaN neither
                raise ValueError(f"low of the {name} must not be above high, got {low} and {high}")
        case _:
            raise TypeError(f"{name} must be a jaxes.envs.Box, Discrete or MultiDiscrete, got {action!r}")


# --- what is no Env --------------------------------------------------------------------------------------------------


def _foreign(value: Any) -> str:
    """What was given, and what to do with it."""
    if isinstance(value, str):
        return f"the name {value!r}: give jaxes.envs.make({value!r})"
    if isinstance(value, type):
        return f"the class {value.__name__}: {_MAKE}"
    kind = type(value)
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if "gymnasium" in modules or "gym" in modules:
        spec = getattr(value, "spec", None)
        name = getattr(spec, "id", None) or "ID"
        return f"an environment of gymnasium ({kind.__name__}): give jaxes.envs.make('gymnasium/{name}')"
    for suite in ("brax", "gymnax", "mujoco_playground", "envpool"):
        if suite in modules:
            named = suite.removeprefix("mujoco_")
            return f"an environment of {suite} ({kind.__name__}): give jaxes.envs.make('{named}/NAME')"
    if callable(value) and hasattr(value, "__name__"):
        return f"the function {value.__name__}: give what it returns, a jaxes.envs.Env"
    return f"{described(value)}: {_MAKE}"


# --- environments in Python processes --------------------------------------------------------------------------------


def _step_lanes(env: Env) -> None:
    """Make one lane, reset it and step it."""
    assert env.lanes is not None
    lanes = env.lanes(1)
    fit_lanes(env.name, env.observation, lanes.observations, 1)
    lanes.reset(0, 0)
    action = action_shape(env)
    still = np.zeros((1, *action.shape), action.dtype)
    if isinstance(env.action, Box):
        still = np.clip(still, env.action.low, env.action.high)
    rewards, done = lanes.step(np.zeros(1, int), still)
    for name, value in (("rewards", rewards), ("done", done)):
        if np.size(value) != 1:
            raise ValueError(f"step of the lanes of {env.name} must return {name} [k], got shape {np.shape(value)}")


def fit_lanes(name: str, observation: Any, seen: Any, count: int) -> None:
    """Raise ValueError unless `seen`, the observations of `count` lanes, are those that an environment promises."""
    got, wanted = jax.tree.structure(seen), jax.tree.structure(observation)
    shapes = [np.shape(x) for x in jax.tree.leaves(seen)]
    promised = [(count, *x.shape) for x in jax.tree.leaves(observation)]
    if got != wanted or shapes != promised:
        raise ValueError(
            f"observations of the lanes of {name} must have the shapes {promised} ({wanted}), got {shapes} ({got})"
        )
