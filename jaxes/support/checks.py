"""Trace-time checks whose messages name the argument, what was given and what is wanted."""

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.support import numerals

LARGEST = 2**31 - 1
"""What ids of members and counts of generations, which are int32, can be."""

_PER_MEMBER_KEYS_IGNORED = ("rbg", "unsafe_rbg")


def population_size(value: int, *, antithetic: bool = False, blocks: int = 1) -> int:
    """Return `value` if it is a population that can be cut into `blocks` (of whole antithetic pairs)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"population_size must be an int, got {value!r}")
    if not 2 <= value <= LARGEST:
        raise ValueError(f"population_size must be 2 or more, and at most {LARGEST}, got {numerals.told(value)}")
    if antithetic and value % 2:
        raise ValueError(f"population_size must be even with antithetic pairs, got {value}; use {value + 1}")
    integer("blocks", blocks)
    unit = 2 * blocks if antithetic else blocks
    if value % unit:
        pairs = f"2 * blocks = {unit} (whole antithetic pairs)" if antithetic else f"blocks = {blocks}"
        raise ValueError(f"population_size must be divisible by {pairs}, got {value}")
    return value


def key(value: Any) -> jax.Array:
    """Return `value` if it is one typed random key whose implementation heeds every member's own key."""
    if not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
        raise TypeError(f"key must be a typed random key such as jax.random.key(0), got {_describe(value)}")
    if value.shape != ():
        raise ValueError(f"key must be one key (shape ()), got keys of shape {value.shape}; use jax.vmap for many runs")
    name = str(jax.random.key_impl(value))
    if name in _PER_MEMBER_KEYS_IGNORED:
        raise ValueError(
            f"key has the implementation {name!r}, which draws the same numbers for every member under jax.vmap; "
            "wanted: 'threefry2x32' (default), 'threefry4x32' or 'philox4x32': jax.random.key(0, impl='philox4x32')"
        )
    return value


def params(value: Any) -> Any:
    """Return `value` as a tree of strongly typed float arrays; raise if a leaf is anything else."""
    leaves = jax.tree_util.tree_leaves_with_path(value)
    if not leaves:
        raise ValueError(f"params must hold at least one float array, got {value!r}")
    for path, leaf in leaves:
        name = f"params{jax.tree_util.keystr(path)}"
        if not hasattr(leaf, "dtype") and not isinstance(leaf, float):
            raise TypeError(f"{name} must be a float array, got {_describe(leaf)}")
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} must be a float array, got dtype {dtype}; strategies perturb every leaf they are given"
            )
        if jnp.finfo(dtype).bits < 16:
            raise TypeError(
                f"{name} must have 16 bits or more, got dtype {dtype}: steps of a search would be rounded away; "
                "keep it in bfloat16 and cast it inside the model"
            )
        if jnp.size(leaf) == 0:
            raise ValueError(f"{name} must not be empty, got shape {jnp.shape(leaf)}")
    return jax.tree.map(lambda x: jnp.asarray(x, dtype=jnp.result_type(x)), value)


def finite(tree: Any) -> None:
    """Raise if a number in the tree of parameters is NaN or infinite; traced ones pass, and those of other hosts."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.core.Tracer) or not getattr(leaf, "is_fully_addressable", True):
            continue
        wrong = ~np.isfinite(np.asarray(leaf))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            name = f"params{jax.tree_util.keystr(path)}{list(at) if at else ''}"
            raise ValueError(f"{name} must be finite, got {float(np.asarray(leaf)[at]):g}")


class Fitness(NamedTuple):
    """What a generation was told."""

    values: jax.Array  # float[size], which compare with those of other generations
    order: jax.Array  # float[size]: the values, unless they tie or are infinite only by rounding; for ranks alone


def fitness(value: Any, size: int, dtype: Any) -> Fitness:
    """Return `value` as dtype[size], whole on every device; raise if its shape is another.

    Numbers of more bits that the host has are rounded; their order is that of the numbers before (`numerals.in_order`).
    """
    shape = getattr(value, "shape", (size,))
    if shape != (size,):
        raise ValueError(f"fitness must have shape ({size},), one value per member, got {shape}")
    if (doubles := wider(value, size, dtype)) is not None:
        near, apart = numerals.nearest(doubles, dtype), numerals.in_order(doubles, dtype)
        values = jnp.asarray(near)
        return Fitness(values, values if np.array_equal(near, apart, equal_nan=True) else jnp.asarray(apart))
    value = gathered(jnp.asarray(value))
    if not numerals.is_real(value.dtype):
        raise TypeError(f"fitness must be real numbers, got dtype {value.dtype}")
    value = value.astype(dtype)
    return Fitness(value, value)


def wider(value: Any, size: int, dtype: Any) -> np.ndarray | None:
    """Fitness that the host has as float64[size]; None if it is traced, or an array of JAX's with no more bits."""
    if isinstance(value, jax.Array):
        bits = jnp.finfo(dtype).nmant + 1
        narrow = jnp.issubdtype(value.dtype, jnp.floating) and jnp.finfo(value.dtype).nmant < bits
        if narrow or isinstance(value, jax.core.Tracer) or not value.is_fully_addressable:
            return None
        if not numerals.is_real(value.dtype):
            return None
    elif isinstance(value, list | tuple) and any(isinstance(x, jax.core.Tracer) for x in value):
        return None
    return numerals.values_of(value, size, "fitness")


def gathered(value: jax.Array) -> jax.Array:
    """The array, whole on every device of its mesh if the mesh's axes are Explicit: sorting needs all of it."""
    sharding = jax.typeof(value).sharding
    if all(axis is None for axis in sharding.spec):
        return value
    return jax.sharding.reshard(value, jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec()))


def ids(value: Any) -> jax.Array:
    """Return `value` as int[k]; raise if it is anything but a vector of integers."""
    value = jnp.asarray(value)
    if value.ndim != 1 or not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(f"ids must be a vector of integers, got {value.dtype}{list(value.shape)}")
    return value


def number(name: str, value: Any, *, low: float = 0.0, exclusive: bool = False, below: float = float("inf")) -> None:
    """Raise if `value` is no finite scalar, lies below `low`, or not below `below`; traced values pass."""
    value = scalar(name, value)
    if isinstance(value, jax.core.Tracer):
        return
    fine = float(value) > low if exclusive else float(value) >= low
    if not fine:
        raise ValueError(f"{name} must be {'above' if exclusive else 'at least'} {low:g}, got {float(value):g}")
    if float(value) >= below:
        limit = "finite" if below == float("inf") else f"below {below:g}"
        raise ValueError(f"{name} must be {limit}, got {float(value):g}")


def scalar(name: str, value: Any) -> Any:
    """Return `value` if it is one real number, as a Python number, an array or traced; strings and bools are none."""
    if not hasattr(value, "dtype"):
        if isinstance(value, list | tuple):
            raise ValueError(
                f"{name} must be a scalar, got {len(value)} of them; use jax.vmap over init for many values"
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {value!r}")
        _check_size(name, value)
        return value
    if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)):
        raise TypeError(f"{name} must be a real number, got dtype {value.dtype}")
    if jnp.ndim(value) != 0:
        raise ValueError(
            f"{name} must be a scalar, got shape {jnp.shape(value)}; use jax.vmap over init for many values"
        )
    return value


def function(name: str, value: Any, *arguments: str) -> None:
    """Raise if `value` is no function that can be called with so many arguments, which are named for the message."""
    wanted = f"{name} must be a function of {' and '.join(arguments)}"
    if not callable(value):
        raise TypeError(f"{wanted}, got {numerals.told(value)}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some built-in functions do not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        called = getattr(inspect.unwrap(value), "__name__", type(value).__name__)
        raise TypeError(f"{wanted}, got {called}{signature}: {error}") from None


def count(name: str, value: Any) -> None:
    """Raise if `value` is not an int of 1 or more."""
    integer(name, value)


def integer(name: str, value: Any, low: int = 1, high: int | None = None, limit: str = "") -> None:
    """Raise if `value` is not an int from `low` to `high`; `limit` says in words what `high` is."""
    if not is_integer(value, low, high):
        wanted = f"of {low} or more" if high is None else f"from {low} to {f'{limit} ' if limit else ''}{high}"
        raise ValueError(f"{name} must be an int {wanted}, got {numerals.told(value)}")


def is_integer(value: Any, low: int = 1, high: int | None = None) -> bool:
    """Whether `value` is an int, and no bool, from `low` to `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and low <= int(value) and (high is None or int(value) <= high)


def real(name: str, value: Any, wanted: str, fits: Callable[[float], bool]) -> None:
    """Raise if `value` is not an int or float that `fits`; `wanted` says which ones do, such as "in [0, 1]"."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise ValueError(f"{name} must be a number {wanted}, got {numerals.told(value)}")
    _check_size(name, value)


def _check_size(name: str, value: float) -> None:
    """Raise for an int that no double is near."""
    try:
        numerals.double(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a number that a double holds: {error}") from None


def one_of(name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise if the argument `name` is none of its `options`; the message lists them."""
    options = list(options)
    if value not in options:
        *others, last = map(repr, options)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


def ordered(low: Any, high: Any) -> None:
    """Raise unless every concrete lower bound (a tree) lies below its upper one; traced values pass."""
    if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((low, high))):
        return
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(low), jax.tree.leaves(high), strict=True):
        if not bool(jnp.all(a < b)):
            at = tuple(int(i) for i in jnp.argwhere(~(a < b))[0])
            name = f"params{jax.tree_util.keystr(path)}{list(at) if at else ''}"
            raise ValueError(f"low must be below high, got {a[at]:g} and {b[at]:g} for {name}")


def elite_count(fraction: float, size: int) -> int:
    """How many of `size` members are the elite: the nearest whole number, at least one."""
    real("elite_fraction", fraction, "in (0, 1]", lambda x: 0 < x <= 1)
    return max(1, round(fraction * size))


def adapted(name: str, value: Any) -> None:
    """Raise if `value`, the first value of something that the strategy itself adapts, is a schedule."""
    if callable(value):
        raise TypeError(f"{name} must be a number here, because this strategy adapts it, got a schedule")
    number(name, value, exclusive=True)


def choice(what: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is known; raise with the nearest names otherwise, or with some if none is near."""
    known = list(known)
    if name in known:
        return name
    lower = {other.lower(): other for other in known}
    inside = [other for low, other in lower.items() if isinstance(name, str) and len(name) > 2 and name.lower() in low]
    close = difflib.get_close_matches(str(name).lower(), lower, n=3, cutoff=0.55)
    inside.sort(key=len)
    near = list(dict.fromkeys([*inside, *(lower[low] for low in close)]))[:3]
    some = known if len(known) <= 12 else [*known[:6], f"and {len(known) - 6} others"]
    raise ValueError(
        f"unknown {what} {name!r}; " + (f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(some)}")
    )


def named(what: str, name: str, known: Iterable[str]) -> str:
    """`choice` that takes another spelling for the name itself: any case, and with hyphens, spaces or nothing for `_`.

    >>> named("strategy", "CMA-ES", ["cma_es", "open_es"])
    'cma_es'
    """
    known = list(known)
    plain = lambda text: "".join(letter for letter in text.lower() if letter not in "_- ")
    return choice(what, {plain(other): other for other in known}.get(plain(name), name), known)


def _describe(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else f"{value!r} ({type(value).__name__})"
