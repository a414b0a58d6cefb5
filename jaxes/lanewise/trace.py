"""From a jaxpr of one lane to a table of operations."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from jax.extend import core

from jaxes.lanewise.moves import MOVES
from jaxes.lanewise.table import Table
from jaxes.support.jaxprs import called

# Arrays of more elements stay arrays.
LARGEST = 20_000
# A table of more rows is given up.
MOST_ROWS = 400_000
DTYPES = frozenset(
    np.dtype(name)
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
)


class Opaque(NamedTuple):
    """A value that stays an array: too large, or of a dtype that a lane does not compute with."""

    slot: int
    stage: int
    aval: Any


Value = np.ndarray | Opaque  # rows of a table, or an array
Rule = Callable[..., Any]


class Fallback(NamedTuple):
    """An operation that is done by `vmap`."""

    eqn: Any
    inputs: list[Value]
    outputs: list[Value]
    stage: int  # of its inputs; its outputs belong to the next one
    reason: str


class UnsupportedError(Exception):
    """An operation has no rule, or none for its operands."""


class Program(NamedTuple):
    """What became of a function of one lane."""

    table: Table
    inputs: list[Value]  # a leaf each
    outputs: list[Value]
    avals: list[Any]  # of the outputs
    fallbacks: list[Fallback]
    before: int  # elements computed, as the function was written
    loops: list[tuple[int | None, int, int]]  # length, elements carried as written, and carried


class Tracer:
    """Walks through jaxprs and writes rows.

    Args:
        finite: take every number for finite when folding.
        platform: where the program will run, "cpu" or "cuda".
        rules: functions of this object, an equation and its operands, by the operation's name.
    """

    def __init__(self, finite: bool, platform: str, rules: dict[str, Rule]):
        self.table = Table(finite)
        self.platform = platform
        self.rules = rules
        self.fallbacks: list[Fallback] = []
        self.loops: list[tuple[int | None, int, int]] = []
        self.before = 0
        self.inside = 0  # how many loops and branches deep
        self.region = 0
        self._slots = itertools.count()

    def program(self, closed: core.ClosedJaxpr) -> Program:
        jaxpr = closed.jaxpr
        # A constant that is a tracer is one more input.
        constants = [None if isinstance(c, jax.core.Tracer) else self.known(c) for c in closed.consts]
        unknown = [self.given(v.aval, 0) for v, c in zip(jaxpr.constvars, constants) if c is None]
        inputs = [self.given(v.aval, 0) for v in jaxpr.invars]
        rest = iter(unknown)
        constants = [next(rest) if c is None else c for c in constants]
        outputs = self.run(jaxpr, constants, inputs)
        avals = [v.aval for v in jaxpr.outvars]
        return Program(self.table, unknown + inputs, outputs, avals, self.fallbacks, self.before, self.loops)

    # Values.

    def given(self, aval: Any, stage: int) -> Value:
        """A value that comes from outside."""
        if not plain(aval):
            return Opaque(next(self._slots), stage, aval)
        count = int(np.prod(aval.shape))
        rows = [self.table.input(aval.dtype, stage) for _ in range(count)]
        return np.array(rows, np.int64).reshape(aval.shape)

    def known(self, array: Any) -> np.ndarray:
        """A value that is known while tracing."""
        if jax.dtypes.issubdtype(getattr(array, "dtype", np.float32), jax.dtypes.extended):
            raise UnsupportedError("a constant key")
        array = np.asarray(array)
        if array.size > LARGEST or array.dtype not in DTYPES:
            raise UnsupportedError(f"a constant of {array.size} elements of {array.dtype}")
        return self.table.constants(array)

    # Jaxprs.

    def run(self, jaxpr: Any, constants: list[Value], arguments: list[Value]) -> list[Value]:
        values: dict[Any, Value] = {}
        values.update(zip(jaxpr.constvars, constants))
        values.update(zip(jaxpr.invars, arguments))

        def read(v):
            if isinstance(v, core.Literal):
                aval: Any = v.aval
                return self.known(np.asarray(v.val, aval.dtype))
            return values[v]

        for eqn in jaxpr.eqns:
            values.update(zip(eqn.outvars, self.equation(eqn, [read(v) for v in eqn.invars])))
            if len(self.table) > MOST_ROWS:
                raise UnsupportedError(f"more than {MOST_ROWS:,} operations")
        return [read(v) for v in jaxpr.outvars]

    def inner(self, closed: core.ClosedJaxpr, arguments: list[Value]) -> list[Value]:
        """The results of a jaxpr that is called."""
        return self.run(closed.jaxpr, [self.known(c) for c in closed.consts], arguments)

    def nested(self, closed: core.ClosedJaxpr, arguments: list[np.ndarray]) -> list[np.ndarray]:
        """The same inside a loop or a branch, where nothing falls back."""
        self.inside += 1
        try:
            return cast(list[np.ndarray], self.inner(closed, list(arguments)))
        finally:
            self.inside -= 1

    def equation(self, eqn: Any, inputs: list[Value]) -> list[Value]:
        if (inner := called(eqn)) is not None:
            return self.inner(inner, inputs)
        written, fallen = len(self.fallbacks), self.before
        try:
            return self.elements(eqn, inputs)
        except UnsupportedError as error:
            if self.inside:
                raise
            del self.fallbacks[written:]
            self.before = fallen
            return self.fall_back(eqn, inputs, str(error))

    def elements(self, eqn: Any, inputs: list[Value]) -> list[Value]:
        """The results of an operation, element by element."""
        name = eqn.primitive.name
        for v, value in zip((*eqn.invars, *eqn.outvars), (*inputs, *[None] * len(eqn.outvars))):
            if not plain(v.aval) or isinstance(value, Opaque):
                raise UnsupportedError(_why_not(v.aval))
        if name in MOVES:
            out = MOVES[name](*inputs, **eqn.params)
        elif name in self.rules:
            out = self.rules[name](self, eqn, *inputs)
        else:
            raise UnsupportedError(f"no rule for {name}")
        if name not in ("scan", "while", "cond", *MOVES):
            self.before += sum(int(np.prod(v.aval.shape)) for v in eqn.outvars)
        return list(out) if eqn.primitive.multiple_results else [out]

    def fall_back(self, eqn: Any, inputs: list[Value], reason: str) -> list[Value]:
        stage = max((self.stage(value) for value in inputs), default=0)
        outputs = [self.given(v.aval, stage + 1) for v in eqn.outvars]
        self.fallbacks.append(Fallback(eqn, inputs, outputs, stage, reason))
        return outputs

    def stage(self, value: Value) -> int:
        if isinstance(value, Opaque):
            return value.stage
        return max((self.table.stages[row] for row in value.reshape(-1).tolist()), default=0)


def plain(aval: Any) -> bool:
    """Whether a lane computes with the elements of such an array."""
    return getattr(aval, "dtype", None) in DTYPES and int(np.prod(aval.shape)) <= LARGEST


def _why_not(aval: Any) -> str:
    if getattr(aval, "dtype", None) not in DTYPES:
        return f"values of {getattr(aval, 'dtype', aval)}"
    return f"an array of {int(np.prod(aval.shape)):,} elements"
