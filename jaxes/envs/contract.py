"""What an environment must keep, checked once and told in sentences before anything is compiled."""

import math
import re
from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Box, Discrete, Env, EnvState, MultiDiscrete
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
        return _remembered(env, _traced(env))
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
    return _remembered(env, _traced(env)) if found is None else _with(env, *found.fine)


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


def _with(env: Env, reset: Any, step: Any) -> Env:
    """The environment with these functions; if they are others, the physics of a state is the state that it had."""
    if (reset, step) == (env.reset, env.step):
        return env
    inner = lambda moments: [getattr(moment, "physics", moment) for moment in moments]
    frames, html = env.frames, env.html
    return env._replace(
        reset=reset,
        step=step,
        frames=None if frames is None else lambda moments, *rest, **how: frames(inner(moments), *rest, **how),
        html=None if html is None else lambda moments, seconds: html(inner(moments), seconds),
    )


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
    limit = env.max_steps
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise ValueError(f"max_steps of {env.name} must be an int of 1 or more, got {limit!r}")
    checks.real(f"step_seconds of {env.name}", env.step_seconds, "of 0 or more", lambda x: 0 <= x < math.inf)


def _check_action(env: Env) -> None:
    action, name = env.action, f"action of {env.name}"
    match action:
        case Discrete(n):
            checks.integer(f"n of the {name}", int(n) if isinstance(n, np.integer) else n)
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
    return f"{_described(value)}: {_MAKE}"


def _described(value: Any) -> str:
    """In a few words, what something is."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {value.dtype}{list(value.shape)}"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"a tuple of {len(value)}"
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


# --- compiled environments -------------------------------------------------------------------------------------------


def _traced(env: Env) -> Env:
    """Trace a reset and a step, and convert what is harmless."""
    action, key = _action(env), jax.eval_shape(lambda: jax.random.key(0))
    start_program, start = first = _trace(env, "reset", key)
    wanted = _convert(env, "reset", start)
    step_program, then = _trace(env, "step", start, action)
    _convert(env, "step", then)
    _pure(env, "reset", start_program, _trace(env, "reset", key)[0])
    _pure(env, "step", step_program, _trace(env, "step", start, action)[0])
    if _types(start) != _types(then):
        start = _widened(env, start, then)
        then = _trace(env, "step", start, action)[1]
        _same(env, start, then)
    fits = _types(start) == _types(first[1]) and _plain(start, wanted) and _plain(then, wanted)
    return env if fits else _converting(env, start)


def _action(env: Env) -> jax.ShapeDtypeStruct:
    match env.action:
        case Discrete():
            return jax.ShapeDtypeStruct((), jnp.int32)
        case MultiDiscrete(counts):
            return jax.ShapeDtypeStruct((len(counts),), jnp.int32)
        case Box(low, _):
            return jax.ShapeDtypeStruct(low.shape, jnp.float32)


def _trace(env: Env, name: str, *args: Any) -> tuple[Any, Any]:
    """The program that a function of the environment is, and the shapes of what it returns."""
    what, function = f"{name} of {env.name}", getattr(env, name)
    try:
        program, out = jax.make_jaxpr(lambda *args: function(*args), return_shape=True)(*args)
    except jax.errors.UnexpectedTracerError:
        raise TypeError(f"{what} {_KEPT}") from None
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.NonConcreteBooleanIndexError,
    ) as error:
        raise TypeError(
            f"{what} cannot be compiled, because it does in Python or NumPy what depends on an array: use jnp.where, "
            f"jax.lax.cond and others of JAX ({_first_line(error)})"
        ) from error
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what} cannot be traced: {_first_line(error)}") from error
    if not all(hasattr(out, field) for field in ("observation", "reward", "done")):
        raise TypeError(f"{what} must return a jaxes.envs.EnvState, got {_described(out)}")
    return program, out


_KEPT = "keeps arrays from one call to the next: all that changes in an episode must be in the state"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _pure(env: Env, name: str, first: Any, second: Any) -> None:
    """Raise unless a function is the same program whenever it is traced."""
    spelled = lambda program: re.sub(r"0x[0-9a-f]+", "", str(program.jaxpr))
    same = spelled(first) == spelled(second) and len(first.consts) == len(second.consts)
    for a, b in zip(first.consts, second.consts, strict=False):
        if a is b:
            continue
        if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
            raise TypeError(f"{name} of {env.name} {_KEPT}")
        a, b = (np.asarray(jax.random.key_data(x) if not _numeric(x) else x) for x in (a, b))
        same &= np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if not same:
        raise TypeError(
            f"{name} of {env.name} is another program when it is traced again: it draws numbers in Python or NumPy, or "
            "changes something outside; draw from a key, and keep all that changes in the state"
        )


def _convert(env: Env, name: str, state: Any) -> tuple[Any, Any, Any]:
    """The (observation, reward, done) of a state as they should be; raises where they cannot be converted."""
    what = f"of {env.name} after {name}"
    for field in ("reward", "done"):
        value = getattr(state, field)
        if not hasattr(value, "shape") or math.prod(value.shape) != 1 or len(value.shape) > 1:
            got = _described(value)
            raise ValueError(f"{field} {what} must be one number, got {got}")
        if not (jnp.issubdtype(value.dtype, jnp.number) or value.dtype == jnp.bool_) or value.dtype.kind == "c":
            raise ValueError(f"{field} {what} must be a real number, got {_described(value)}")
    got, wanted = jax.tree.structure(state.observation), jax.tree.structure(env.observation)
    if got != wanted:
        raise ValueError(f"observation {what} must be the tree that env.observation is, {wanted}; got {got}")
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(state.observation), jax.tree.leaves(env.observation), strict=True
    ):
        if x.shape != y.shape:
            at = jax.tree_util.keystr(path)
            raise ValueError(
                f"observation{at} {what} must have the shape that env.observation has, {y.shape}, got {x.shape}"
            )
        if x.dtype != y.dtype and not _wider(x.dtype, y.dtype):
            at = jax.tree_util.keystr(path)
            raise ValueError(
                f"observation{at} {what} must have the dtype that env.observation has, {y.dtype}, got {x.dtype}"
            )
    plain = lambda dtype: jax.ShapeDtypeStruct((), dtype)
    observation = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), env.observation)
    return observation, plain(jnp.float32), plain(jnp.bool_)


def _wider(given: Any, wanted: Any) -> bool:
    """Whether numbers of the dtype `given` may become `wanted`: bools and ints become floats, floats other floats."""
    kinds = [jnp.bool_, jnp.integer, jnp.floating]
    rank = lambda dtype: next((i for i, kind in enumerate(kinds) if jnp.issubdtype(dtype, kind)), -1)
    a, b = rank(given), rank(wanted)
    return (a, b) in ((0, 1), (0, 2), (1, 2), (2, 2)) or (a == b == 1 and jnp.promote_types(given, wanted) == wanted)


def _plain(state: Any, wanted: tuple[Any, Any, Any]) -> bool:
    """Whether a state is an `EnvState` that needs no conversion."""
    return isinstance(state, EnvState) and _types((state.observation, state.reward, state.done)) == _types(wanted)


def _types(tree: Any) -> Any:
    leaves = [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
    return leaves, jax.tree.structure(tree)


def _widened(env: Env, start: Any, then: Any) -> Any:
    """The state of a reset with the dtypes of a state after a step; raises where they differ by more."""
    if jax.tree.structure(start) != jax.tree.structure(then):
        raise ValueError(
            f"reset and step of {env.name} must return the same tree; reset gives {jax.tree.structure(start)}, "
            f"and step gives {jax.tree.structure(then)}"
        )

    def one(path, a, b):
        if a.shape != b.shape or (a.dtype != b.dtype and not _fits(a.dtype, b.dtype)):
            raise ValueError(
                f"reset and step of {env.name} must give{jax.tree_util.keystr(path)} the same shape and dtype; reset "
                f"gives {a.dtype}{list(a.shape)}, and step gives {b.dtype}{list(b.shape)}"
            )
        return b

    return jax.tree_util.tree_map_with_path(one, start, then)


def _fits(given: Any, wanted: Any) -> bool:
    numeric = lambda dtype: dtype == jnp.bool_ or jnp.issubdtype(dtype, jnp.number)
    if not (numeric(given) and numeric(wanted)):
        return False
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(given, wanted) == wanted


def _same(env: Env, start: Any, then: Any) -> None:
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(start), jax.tree.leaves(then), strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise ValueError(
                f"step of {env.name} must keep the dtypes of its state; {jax.tree_util.keystr(path)} was {a.dtype} and "
                f"becomes {b.dtype}"
            )


def _converting(env: Env, like: Any) -> Env:
    """The environment with states that hold its own ones as their physics."""

    def wrap(inner: Any) -> EnvState:
        inner = jax.tree.map(lambda x, y: jnp.asarray(x).astype(y.dtype) if _numeric(y) else x, inner, like)
        observation = jax.tree.map(lambda x, y: jnp.asarray(x).astype(y.dtype), inner.observation, env.observation)
        reward = jnp.asarray(inner.reward).reshape(()).astype(jnp.float32)
        done = jnp.asarray(inner.done).reshape(())
        return EnvState(inner, observation, reward, done if done.dtype == jnp.bool_ else done != 0)

    return _with(env, lambda key: wrap(env.reset(key)), lambda state, action: wrap(env.step(state.physics, action)))


def _numeric(x: Any) -> bool:
    """Whether an array holds numbers, and no random keys."""
    return not jnp.issubdtype(x.dtype, jax.dtypes.extended)


# --- environments in Python processes --------------------------------------------------------------------------------


def _step_lanes(env: Env) -> None:
    """Make one lane, reset it and step it."""
    assert env.lanes is not None
    lanes = env.lanes(1)
    fit_lanes(env.name, env.observation, lanes.observations, 1)
    lanes.reset(0, 0)
    action = _action(env)
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
