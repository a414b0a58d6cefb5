"""Compiled environments are traced once: what is wrong with them is told, and what is harmless is converted."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.envs.protocol import Box, Discrete, Env, EnvState, MultiDiscrete


def traced(env: Env) -> Env:
    """The environment itself, or one that converts what is harmless, after a reset and a step were traced.

    Raises:
        TypeError: if its functions cannot be traced, do not return an `EnvState`, or are no pure functions.
        ValueError: if shapes, dtypes or numbers do not fit each other.
    """
    action, key = action_shape(env), jax.eval_shape(lambda: jax.random.key(0))
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


def action_shape(env: Env) -> jax.ShapeDtypeStruct:
    """The shape and dtype of what `step` is given."""
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
        raise TypeError(f"{what} must return a jaxes.envs.EnvState, got {described(out)}")
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
            got = described(value)
            raise ValueError(f"{field} {what} must be one number, got {got}")
        if not (jnp.issubdtype(value.dtype, jnp.number) or value.dtype == jnp.bool_) or value.dtype.kind == "c":
            raise ValueError(f"{field} {what} must be a real number, got {described(value)}")
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
                f"reset and step of {env.name} must give {_named(path)} the same shape and dtype; reset "
                f"gives {a.dtype}{list(a.shape)}, and step gives {b.dtype}{list(b.shape)}"
            )
        return b

    return jax.tree_util.tree_map_with_path(one, start, then)


def _named(path: Any) -> str:
    """The name of a leaf of a state, such as physics['x']."""
    return jax.tree_util.keystr(path).removeprefix(".")


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
                f"step of {env.name} must keep the dtypes of its state; {_named(path)} was {a.dtype} and "
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

    return with_functions(
        env, lambda key: wrap(env.reset(key)), lambda state, action: wrap(env.step(state.physics, action))
    )


def _numeric(x: Any) -> bool:
    """Whether an array holds numbers, and no random keys."""
    return not jnp.issubdtype(x.dtype, jax.dtypes.extended)


def with_functions(env: Env, reset: Any, step: Any) -> Env:
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


def described(value: Any) -> str:
    """In a few words, what something is."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {value.dtype}{list(value.shape)}"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"a tuple of {len(value)}"
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
