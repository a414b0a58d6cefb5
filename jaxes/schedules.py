"""Numbers of a strategy: plain values, or optax schedules read at the generation's step."""

import inspect
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.support import checks
from jaxes.support.numerals import is_real, told

Number = float | jax.Array | Callable[[Any], Any]


def check(name: str, value: Any) -> None:
    """Raise if `value`, a number of a strategy, is a function but no schedule, or an int that no float holds.

    >>> import functools, optax
    >>> check("sigma", functools.partial(optax.exponential_decay, 0.1, 10))
    Traceback (most recent call last):
    TypeError: sigma must be a number or a schedule from a step to a number, got a function that makes one; call it
    """
    if isinstance(value, int):
        checks.number(name, value, low=-np.inf)
    if not callable(value):
        return
    wanted = f"{name} must be a number or a schedule from a step to a number"
    try:
        inspect.signature(value).bind(0)
    except TypeError as error:
        raise TypeError(f"{wanted}, got a function of other arguments ({error})") from None
    except ValueError:  # some built-in functions do not tell
        pass
    with warnings.catch_warnings(action="ignore"):  # it may be made for another precision than that of the moment
        result = _read(value, 0)
    if callable(result):
        raise TypeError(f"{wanted}, got a function that makes one; call it")
    array = hasattr(result, "dtype") and jnp.ndim(result) == 0 and is_real(result.dtype)
    if not (array or isinstance(result, int | float)):
        raise TypeError(f"{wanted}, got a function that gives {told(result)}")


def start(
    name: str, given: Any, default: Number | None, dtype: Any, *, low: float = 0.0, exclusive: bool = False
) -> jax.Array:
    """The first value of a number, as a strongly typed scalar for the state.

    `given` overrides the factory's `default`; a schedule gives `schedule(0)` and cannot be overridden, because the next
    generation would read the schedule again.
    """
    if given is not None and callable(given):
        raise TypeError(f"{name} must be a number here, got a schedule; give schedules to the factory")
    if callable(default):
        if given is not None:
            raise ValueError(f"{name} follows a schedule in this strategy, so init cannot set it to {given!r}")
        given = _read(default, 0)
    value = default if given is None else given
    checks.number(name, value, low=low, exclusive=exclusive)
    if not isinstance(value, jax.core.Tracer):
        with np.errstate(over="ignore", under="ignore"):
            rounded = np.asarray(value, np.float64).astype(dtype)
        if not np.isfinite(rounded) or (exclusive and rounded == 0):
            kind, was = jnp.dtype(dtype), np.asarray(value, np.float64)
            raise ValueError(f"{name} must be a number that {kind} has, got {was:g}, which becomes {rounded:g}")
    return jnp.asarray(value, dtype=dtype)


def follow(default: Number | None, current: jax.Array, step: jax.Array) -> jax.Array:
    """The value at `step`: the schedule's if `default` is one, else the one in the state."""
    return jnp.asarray(_read(default, step), dtype=current.dtype) if callable(default) else current


def start_all(
    given: Mapping[str, Number | None],
    overrides: Mapping[str, Any],
    defaults: Mapping[str, float],
    dtype: Any,
    *,
    exclusive: Container[str] = (),
) -> dict[str, jax.Array]:
    """`start` for many numbers.

    Args:
        given: the factory's arguments by name; None means the default.
        overrides: the numbers that `init` was given; None means the factory's.
        defaults: the value that each number has by default for these parameters.
        dtype: the dtype of the results.
        exclusive: names of the numbers that must be above zero.

    Raises:
        TypeError: if `init` was given a number that the strategy does not have.
    """
    if unknown := set(overrides) - set(given):
        known = ", ".join(dict.fromkeys(("sigma", *given)))
        raise TypeError(f"init got an unknown number {unknown.pop()!r}; it takes {known}")
    first = {name: defaults.get(name) if value is None else value for name, value in given.items()}
    return {
        name: start(name, overrides.get(name), value, dtype, exclusive=name in exclusive)
        for name, value in first.items()
    }


def follow_all(given: Mapping[str, Number | None], state: Any, step: jax.Array) -> dict[str, jax.Array]:
    """`follow` for many numbers: every number in `given`, which `state` holds by the same name."""
    return {name: follow(value, getattr(state, name), step) for name, value in given.items()}


def _read(schedule: Callable[[Any], Any], step: Any) -> Any:
    with jax.numpy_dtype_promotion("standard"):
        return schedule(step)
