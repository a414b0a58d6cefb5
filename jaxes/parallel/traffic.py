"""What a compiled program sends between devices."""

import math
import re
from typing import Any, NamedTuple

_SIZES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}
_SIZES |= {"s64": 8, "u64": 8, "f64": 8}
_KINDS = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute|collective-broadcast"
_CALL = re.compile(rf"= (.+?) ({_KINDS})(?:-start)?\(")
_SHAPE = re.compile(rf"({'|'.join(_SIZES)})\[([\d,]*)\]")


class Sent(NamedTuple):
    """One collective operation of a program."""

    kind: str  # such as "all-gather"
    bytes: int  # of its result, on one device


def traffic(compiled: Any) -> list[Sent]:
    """The collective operations in a compiled program, each with the bytes of its result; one in a loop counts once.

    Args:
        compiled: what `jax.jit(...).lower(...).compile()` returns, for arguments of any shape.

    >>> import jax, jax.numpy as jnp
    >>> traffic(jax.jit(lambda x: x + 1).lower(jnp.ones(3)).compile())
    []
    """
    return [
        Sent(call[2], sum(_SIZES[kind] * math.prod(map(int, filter(None, sizes.split(",")))) for kind, sizes in shapes))
        for call in _CALL.finditer(compiled.as_text())
        if (shapes := _SHAPE.findall(call[1]))
    ]
