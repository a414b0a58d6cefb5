"""From a jaxpr of one lane to a table of operations."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from jax.extend import core

from jaxes.lanewise.moves import MOVES
from jaxes.lanewise.table import Table
from jaxes.support.jaxprs import bind, called

# Arrays of more elements stay arrays.
LARGEST = 20_000
# A table of more rows is given up.
MOST_ROWS = 400_000
DTYPES = frozenset(
    np.dtype(name)
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
)


KEY = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32")).dtype
# Operations that only move elements, or choose among them: of keys they move both words alike.
CHOOSE = frozenset({"select_n", "gather", "dynamic_slice", "dynamic_update_slice", "scatter"})


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


def inlined(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a rule of `custom_vmap` that gives what `vmap` of the function itself gives, as lanewise's own do."""
    rule.inlined = True  # pyrefly: ignore
    return rule


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
        most_choices: what one operation may take to look for a place that is not known (`jaxes.lanewise.indexing`).
    """

    def __init__(self, finite: bool, platform: str, rules: dict[str, Rule], most_choices: int = 0):
        self.table = Table(finite)
        self.platform = platform
        self.rules = rules
        self.fallbacks: list[Fallback] = []
        self.loops: list[tuple[int | None, int, int]] = []
        self.most_choices = most_choices
        self.choices = 0  # of operations that take many
        self.before = 0
        self.inside = 0  # how many loops and branches deep
        self.region = 0
        self.starts: list[int] = []  # the first row of every array that comes from outside
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
        return Program(self.table, unknown + inputs, outputs, avals, self.read(outputs), self.before, self.loops)

    def read(self, outputs: list[Value]) -> list[Fallback]:
        """What has fallen back and is read by outputs, or has effects."""
        values, kept = list(outputs), []
        for fallback in reversed(self.fallbacks):
            given = _named(fallback.outputs)
            read = _named(values) | self.table.needed(row for row in _named(values) if isinstance(row, int))
            if fallback.eqn.effects or not read.isdisjoint(given):
                kept.append(fallback)
                values += fallback.inputs
        return kept[::-1]

    # Values.

    def given(self, aval: Any, stage: int) -> Value:
        """A value that comes from outside."""
        if not plain(aval):
            return Opaque(next(self._slots), stage, aval)
        shape, dtype = elements_of(aval)
        rows = [self.table.input(dtype, stage) for _ in range(int(np.prod(shape)))]
        self.starts.extend(rows[:1])
        return np.array(rows, np.int64).reshape(shape)

    def known(self, array: Any) -> np.ndarray:
        """A value that is known while tracing."""
        if isinstance(array, jax.core.Tracer):
            raise UnsupportedError("a constant that is not known while tracing")
        if is_key(getattr(array, "dtype", None)):
            with jax.ensure_compile_time_eval():
                array = jax.random.key_data(array)
        elif jax.dtypes.issubdtype(getattr(array, "dtype", np.float32), jax.dtypes.extended):
            raise UnsupportedError(f"a constant of {array.dtype}")
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
        written, fallen = len(self.fallbacks), self.before
        try:
            if eqn.primitive.name == "custom_vmap_call" and not hasattr(
                getattr(eqn.params["rule"], "rule", None), "inlined"
            ):
                raise UnsupportedError("a rule of its own for vmap")
            if (inner := called(eqn)) is not None:
                return self.inner(inner, inputs)
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
        rows = cast(list[np.ndarray], inputs)
        if name not in MOVES and name not in self.rules:
            return self.done_at_once(eqn, rows)
        rule = partial(MOVES[name], **eqn.params) if name in MOVES else partial(self.rules[name], self, eqn)
        of_keys = [is_key(v.aval.dtype) for v in eqn.invars]
        out: Any
        if any(of_keys) and (name in MOVES or name in CHOOSE):
            words = [rule(*(x[..., w] if k else x for x, k in zip(rows, of_keys))) for w in (0, 1)]
            several = eqn.primitive.multiple_results
            out = [np.stack(pair, -1) for pair in zip(*words)] if several else np.stack(words, -1)
        else:
            out = rule(*rows)
        if name not in ("scan", "while", "cond", *MOVES):
            self.before += sum(int(np.prod(v.aval.shape)) for v in eqn.outvars)
        return list(out) if eqn.primitive.multiple_results else [out]

    def done_at_once(self, eqn: Any, inputs: list[np.ndarray]) -> list[Value]:
        """The results of an operation that has no rule, of constants."""
        values = [[self.table.values[row] for row in x.reshape(-1).tolist()] for x in inputs]
        known = all(value is not None for column in values for value in column)
        if eqn.effects or not known or any(is_key(v.aval.dtype) for v in eqn.invars):
            raise UnsupportedError(f"no rule for {eqn.primitive.name}")
        arrays = [np.array(c, v.aval.dtype).reshape(v.aval.shape) for c, v in zip(values, eqn.invars)]
        with jax.ensure_compile_time_eval():
            outs = bind(eqn, [jax.numpy.asarray(x) for x in arrays])
        return [self.known(out) for out in (outs if eqn.primitive.multiple_results else [outs])]

    def fall_back(self, eqn: Any, inputs: list[Value], reason: str) -> list[Value]:
        stage = max((self.stage(value) for value in inputs), default=0)
        outputs = [self.given(v.aval, stage + 1) for v in eqn.outvars]
        self.fallbacks.append(Fallback(eqn, inputs, outputs, stage, reason))
        return outputs

    def stage(self, value: Value) -> int:
        if isinstance(value, Opaque):
            return value.stage
        return max((self.table.stages[row] for row in value.reshape(-1).tolist()), default=0)


def _named(values: list[Value]) -> set[Any]:
    """The rows of values, and the arrays that are none."""
    return {name for v in values for name in ([("slot", v.slot)] if isinstance(v, Opaque) else v.reshape(-1).tolist())}


def plain(aval: Any) -> bool:
    """Whether a lane computes with the elements of such an array."""
    dtype = getattr(aval, "dtype", None)
    return (dtype in DTYPES or is_key(dtype)) and int(np.prod(aval.shape)) <= LARGEST


def is_key(dtype: Any) -> bool:
    """Whether it is that of JAX's default keys."""
    return dtype == KEY


def elements_of(aval: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the rows of an array; a key is two words."""
    return ((*aval.shape, 2), np.dtype("uint32")) if is_key(aval.dtype) else (aval.shape, aval.dtype)


def _why_not(aval: Any) -> str:
    dtype = getattr(aval, "dtype", None)
    if dtype not in DTYPES and not is_key(dtype):
        return f"values of {getattr(aval, 'dtype', aval)}"
    return f"an array of {int(np.prod(aval.shape)):,} elements"
