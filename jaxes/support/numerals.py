"""Numbers that Python programs give: as doubles, and as arrays of fewer bits that keep their order."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np


def is_real(dtype: Any) -> bool:
    """Whether a dtype holds real numbers; booleans are 0 and 1."""
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's, also in tuples, lists and dictionaries; anything else as it is.

    >>> plain({"steps": np.int64(5), "sizes": (np.int32(8), 8)})
    {'steps': 5, 'sizes': (8, 8)}
    """
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return {name: plain(one) for name, one in value.items()} if type(value) is dict else value


def told(value: Any) -> str:
    """A value as an error names it.

    >>> told(np.zeros(3)), told([1, 2]), told("a"), told(10**400)
    ('float64[3]', 'a list of 2', "'a'", 'an int of 1329 bits')
    >>> told(Fraction(10**400, 3))
    'a large Fraction'
    """
    if hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an int of {value.bit_length()} bits"
    if isinstance(value, Fraction) and value.numerator.bit_length() + value.denominator.bit_length() > 128:
        return "a large Fraction"
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, tuple | list | dict) else repr(value)


def double(value: Any) -> float:
    """A Python number as a float.

    Raises:
        ValueError: if it is finite and no double is near.

    >>> double(3), double(Fraction(1, 4)), double(Decimal("0.5"))
    (3.0, 0.25, 0.5)
    """
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
        beyond = True
    else:
        beyond = isinstance(value, Decimal) and value.is_finite() and math.isinf(result)
    if beyond:
        raise ValueError(f"got {told(value)}, which is beyond the largest double, 1.8e308")
    return result


def value_of(value: Any, wanted: str = "f must return one real number") -> float:
    """A value of one candidate as a float: a number, or an array of one number.

    Args:
        value: what an objective has returned.
        wanted: how errors begin.

    Raises:
        TypeError: if it is anything else.
        ValueError: if it is an int that no double is near.

    >>> value_of(np.array([2.5]))
    2.5
    """
    if isinstance(value, float | int | Fraction | Decimal):
        return double(value)
    if value is None or isinstance(value, str | bytes | tuple | list | dict) or not is_real(np.asarray(value).dtype):
        raise TypeError(f"{wanted}, got {told(value)}{' (no return?)' if value is None else ''}")
    array = _unmasked(value)
    if array.size != 1:
        raise TypeError(
            f"{wanted} for one candidate, got an array of shape {array.shape}; with "
            "vectorized=True f gets all candidates and returns a number for each"
        )
    return float(array.astype(np.float64).reshape(()))


def values_of(values: Any, size: int, what: str) -> np.ndarray:
    """Values of all candidates as float64[size]; NaN marks a failed evaluation.

    Args:
        values: an array or a sequence of `size` numbers, or arrays of one number.
        size: how many candidates there are.
        what: what must be told, for errors.

    Raises:
        TypeError: if one is no real number, or there is no sequence.
        ValueError: if there are not as many as candidates.
    """
    wanted = f"{what} must be {size} real numbers, one for each candidate in their order"
    if isinstance(values, list | tuple):
        values = [np.nan if value is np.ma.masked else value for value in values]
        for i, value in enumerate(values):
            several = isinstance(value, tuple | list) and np.size(value) != 1
            if several or value is None or isinstance(value, str | bytes | dict):
                raise TypeError(f"{wanted}; number {i} is {told(value)}{'; NaN marks a failure' * (value is None)}")
        if len({np.shape(value) for value in values}) > 1:  # numbers, and arrays of one number
            values = [np.asarray(value).reshape(()) if np.size(value) == 1 else value for value in values]
    elif values is None or isinstance(values, str | bytes | dict) or callable(values):
        raise TypeError(f"{wanted}, got {told(values)}")
    elif hasattr(values, "__iter__") and not hasattr(values, "__getitem__"):
        raise TypeError(f"{wanted}, got a {type(values).__name__}; list(...) makes a list of it")
    try:
        array = _unmasked(values)
        if array.dtype == object:
            array = np.array(
                [value_of(value, f"number {i} must be one") for i, value in enumerate(array.reshape(-1))]
            ).reshape(array.shape)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wanted}: {error}") from None
    if not is_real(array.dtype):
        raise TypeError(f"{wanted}, got the dtype {array.dtype}")
    if array.shape not in ((size,), (size, 1)):
        raise ValueError(f"{wanted}, got the shape {array.shape}")
    return array.astype(np.float64).reshape(size)


def nearest(values: np.ndarray, dtype: Any) -> np.ndarray:
    """The numbers in a dtype of fewer bits; finite ones stay finite.

    >>> nearest(np.array([1e8 + 1, 1e39, np.inf]), np.float32).tolist()
    [100000000.0, 3.4028234663852886e+38, inf]
    """
    most = float(np.finfo(dtype).max)
    with np.errstate(under="ignore"):
        return np.where(np.isinf(values), values, np.clip(values, -most, most)).astype(dtype)


def in_order(values: np.ndarray, dtype: Any) -> np.ndarray:
    """The numbers in a dtype of fewer bits, the nearest ones that are in the same order and tie where they did.

    Only where rounding would make two numbers one, or a number infinite, does a result differ from plain rounding, by
    the few units in the last place that keep neighbors apart. Zero and normal numbers are used: compiled programs read
    subnormal ones as zero.

    Args:
        values: float64[n]; NaN and infinite ones stay what they are.
        dtype: float32 or float64.

    Returns:
        dtype[n].

    >>> in_order(np.array([1e8, 1e8 + 1, 3.0, 1e39]), np.float32).tolist()
    [99999992.0, 100000000.0, 3.0, 3.4028234663852886e+38]
    """
    with np.errstate(over="ignore", under="ignore"):
        near = values.astype(dtype)
    for sign in (1, -1):
        some = np.isfinite(values) & (sign * values > 0)
        known, back = np.unique(np.abs(values[some]), return_inverse=True)
        near[some] = sign * _apart(known, dtype)[back.reshape(-1)]
    return near


def _apart(known: np.ndarray, dtype: Any) -> np.ndarray:
    """Positive numbers, rising, as rising numbers of a dtype near them.

    Equals spread to both sides: the k-th number less k must not fall, and both the largest such value before it and the
    smallest one after it do not.
    """
    bits = np.dtype(f"i{np.dtype(dtype).itemsize}")  # positive floats are in the order of their bits
    least, most = (int(np.array(x, dtype).view(bits)) for x in (np.finfo(dtype).tiny, np.finfo(dtype).max))
    number = np.arange(known.size)
    with np.errstate(over="ignore", under="ignore"):
        free = known.astype(dtype).view(bits).astype(np.int64) - number
    before, after = np.maximum.accumulate(free), np.minimum.accumulate(free[::-1])[::-1]
    place = np.clip(after + (before - after) // 2, least, most - known.size + 1) + number
    return place.astype(bits).view(dtype)


def _unmasked(values: Any) -> np.ndarray:
    """The array, with NaN for what NumPy masks."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(np.float64), np.nan)
    return np.asarray(values)
