"""Operations of a table on constants, as XLA does them."""

from collections.abc import Callable
from typing import Any

import numpy as np


def evaluated(operation: str, values: list[Any], result: np.dtype) -> np.generic | None:
    """The value of an operation of scalars; None if there is no rule for it.

    >>> evaluated("div", [np.int32(7), np.int32(0)], np.dtype("int32"))
    np.int32(-1)
    >>> evaluated("convert", [np.float32(3e9)], np.dtype("int32"))
    np.int32(2147483647)
    """
    function = FUNCTIONS.get(operation)
    if function is None:
        return None
    with np.errstate(all="ignore"):
        if operation in ("convert", "bitcast"):
            return function(np.asarray(values[0]), result)
        arrays = [np.asarray(value).reshape(1) for value in values]  # unlike scalars, arrays wrap around in silence
        return np.asarray(function(*arrays)).astype(result)[0]


def _convert(x: np.ndarray, result: np.dtype) -> Any:
    if x.dtype.kind == "f" and result.kind in "iu":
        limits = np.iinfo(result)
        number = float(x)
        if np.isnan(number):
            return result.type(0)
        if number >= limits.max:
            return result.type(limits.max)
        return result.type(limits.min if number <= limits.min else int(number))
    if result.kind == "b":
        return np.bool_(x != 0)
    return x.astype(result)[()]


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Towards zero; -1 (all bits) where b is 0."""
    if a.dtype.kind == "f":
        return a / b
    safe = np.where(b == 0, np.ones_like(b), b)
    if a.dtype.kind == "i":
        down = a // np.where(b == -1, np.ones_like(b), safe)
        quotient = np.where(b == -1, -a, down + ((a % safe != 0) & ((a < 0) != (safe < 0))))
    else:
        quotient = a // safe
    return np.where(b == 0, ~np.zeros_like(a), quotient)


def _remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """With the sign of a; a where b is 0."""
    if a.dtype.kind == "f":
        return np.fmod(a, b)
    safe = np.where(b == 0, np.ones_like(b), b)
    return np.where(b == 0, a, np.fmod(a, safe))


def _shift(left: bool, arithmetic: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def shifted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        width = 8 * a.itemsize
        raw = b.view(f"u{b.itemsize}").astype(np.uint64)
        amount = np.minimum(raw, np.uint64(width - 1)).astype(np.int64)
        unsigned = a.view(f"u{a.itemsize}")
        if arithmetic:
            signed = a.view(f"i{a.itemsize}")
            return (signed >> amount.astype(signed.dtype)).view(a.dtype)
        out = unsigned << amount.astype(unsigned.dtype) if left else unsigned >> amount.astype(unsigned.dtype)
        return np.where(raw >= width, np.zeros_like(unsigned), out).view(a.dtype)

    return shifted


def _maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(a, b) if a.dtype.kind != "b" else a | b


def _minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.minimum(a, b) if a.dtype.kind != "b" else a & b


FUNCTIONS: dict[str, Callable] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "rem": _remainder,
    "max": _maximum,
    "min": _minimum,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "cbrt": np.cbrt,
    "pow": np.power,
    "is_finite": np.isfinite,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.bitwise_not,
    "shl": _shift(left=True, arithmetic=False),
    "srl": _shift(left=False, arithmetic=False),
    "sra": _shift(left=False, arithmetic=True),
    "select": lambda condition, no, yes: np.where(condition, yes, no),
    "convert": _convert,
    "bitcast": lambda x, result: x.view(result)[()],
}
