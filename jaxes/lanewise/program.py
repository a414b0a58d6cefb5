"""Functions of one lane as programs, and programs of all lanes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jax.extend import core

from jaxes.lanewise import kernel
from jaxes.lanewise.indexing import FEW_CHOICES, MANY_CHOICES, MOST_CHOICES
from jaxes.lanewise.kernel import Part, Target
from jaxes.lanewise.rules import RULES
from jaxes.lanewise.trace import Fallback, Opaque, Program, Tracer, elements_of, is_key
from jaxes.support.jaxprs import bind


def traced(closed: core.ClosedJaxpr, *, finite: bool = False, platform: str = "cpu") -> Program:
    """The program of a jaxpr. Constants that are not known while tracing come first among its inputs.

    Where looking for places in arrays would be most of what it does, `vmap` does that.
    """
    tracer = Tracer(finite, platform, RULES, MOST_CHOICES)
    program = tracer.program(closed)
    if tracer.choices > MANY_CHOICES and 3 * tracer.choices > sum(map(bool, tracer.table.operands)):
        return Tracer(finite, platform, RULES, FEW_CHOICES).program(closed)
    return program


def run(
    program: Program, lanes: int, arrays: list[Any], target: Target, nexts: Mapping[int, int] = MappingProxyType({})
) -> list[Any]:
    """What a program gives for all lanes.

    Args:
        program: as `traced` gives it.
        lanes: how many.
        arrays: a leaf an input, [lanes, *shape], or [*shape] where all lanes share it.
        target: what its kernels are made for.
        nexts: numbers of leaves that come in, and of those that go out and will come in there when it runs again.

    Returns:
        A leaf an output, [lanes, *shape].
    """
    at_hand: list[tuple[np.ndarray, Any]] = []  # rows that have been computed, and their values
    opaque: dict[int, Any] = {}

    def keep(value, array):
        if isinstance(value, Opaque):
            opaque[value.slot] = array
        else:
            at_hand.append((value, jax.random.key_data(array) if is_key(array.dtype) else array))

    for value, array in zip(program.inputs, arrays):
        keep(value, array)
    pairs = _pairs(program, nexts)
    values: dict[tuple, Any] = {}
    stages = 1 + max((f.stage + 1 for f in program.fallbacks), default=0)
    for stage in range(stages):
        falling = [f for f in program.fallbacks if f.stage == stage]
        wanted = [v for f in falling for v in f.inputs]
        last = stage == stages - 1
        wanted += program.outputs if last else []
        wanted = [v for v in wanted if not isinstance(v, Opaque) and v.size]
        kept = [] if last else _later(program, stage, at_hand)
        values = _computed(program, lanes, at_hand, [*wanted, *kept], target, pairs)
        for rows in kept:
            at_hand.append((rows, values[_key(rows)]))
        for fallback in falling:
            avals = [v.aval for v in fallback.eqn.invars]
            given = [
                opaque[v.slot] if isinstance(v, Opaque) else _read(values, v, aval)
                for v, aval in zip(fallback.inputs, avals)
            ]
            outs = _fallen(fallback, lanes, given)
            for value, array in zip(fallback.outputs, outs):
                keep(value, array)
    outs = []
    for value, aval in zip(program.outputs, program.avals):
        x = opaque[value.slot] if isinstance(value, Opaque) else _read(values, value, aval)
        outs.append(x if x.ndim > len(aval.shape) else jnp.broadcast_to(x, (lanes, *x.shape)))
    return outs


def _pairs(program: Program, nexts: Mapping[int, int]) -> dict[tuple, tuple]:
    """Inputs, and outputs of the same shape and type that come next in their place, by their rows."""
    out = {}
    for i, j in nexts.items():
        given, made = program.inputs[i], program.outputs[j]
        if isinstance(given, Opaque) or isinstance(made, Opaque) or not made.size or given.shape != made.shape:
            continue
        if program.table.dtypes[int(given.flat[0])] == program.table.dtypes[int(made.flat[0])]:
            out[_key(given)] = _key(made)
    return out


def _key(rows: np.ndarray) -> tuple:
    return rows.shape, rows.tobytes()


def _read(values: dict, rows: np.ndarray, aval: Any) -> Any:
    x = values[_key(rows)] if rows.size else jnp.zeros(*elements_of(aval))
    return jax.random.wrap_key_data(x, impl="threefry2x32") if is_key(aval.dtype) else x


def _computed(
    program: Program, lanes: int, at_hand: list, wanted: list[np.ndarray], target: Target, pairs: dict
) -> dict:
    """Arrays of rows: those that are there, constants, and the rest by one kernel."""
    table = program.table
    values = {_key(rows): array for rows, array in at_hand}
    missing: dict[tuple, np.ndarray] = {}
    for rows in wanted:
        key = _key(rows)
        if key in values or key in missing:
            continue
        constants = [table.values[row] for row in rows.reshape(-1).tolist()]
        if all(value is not None for value in constants):
            values[key] = jnp.asarray(np.array(constants, table.dtypes[int(rows.flat[0])]).reshape(rows.shape))
        else:
            missing[key] = rows
    if missing:
        given = [(rows, array) for rows, array in at_hand if rows.size]
        needed = table.needed(
            [r for rows in missing.values() for r in rows.flat], [r for rows, _ in given for r in rows.flat]
        )
        given = [(rows, array) for rows, array in given if not needed.isdisjoint(rows.reshape(-1).tolist())]
        part = Part(table, tuple(rows for rows, _ in given), tuple(missing.values()))
        numbers = {key: j for j, key in enumerate(missing)}
        places = {k: numbers[out] for k, (rows, _) in enumerate(given) if (out := pairs.get(_key(rows))) in numbers}
        places = {k: j for j, k in {j: k for k, j in places.items()}.items()}
        values.update(zip(missing, kernel.call(part, lanes, [array for _, array in given], target, places)))
    return values


def _later(program: Program, stage: int, at_hand: list) -> list[np.ndarray]:
    """Rows computed up to a stage that later ones need, a vector a dtype."""
    table = program.table
    there = {int(r) for rows, _ in at_hand for r in rows.flat}
    late = [v for f in program.fallbacks if f.stage > stage for v in f.inputs] + program.outputs
    rows = {int(r) for v in late if not isinstance(v, Opaque) for r in v.flat}
    needed = table.needed(rows, there)
    crossing = set()
    for row in needed - there:
        if table.stages[row] > stage:
            crossing |= {b for b in table.before(row) if _crosses(table, b, stage) and b not in there}
    crossing |= {row for row in rows - there if _crosses(table, row, stage)}
    groups: dict[np.dtype, list[int]] = {}
    for row in sorted(crossing):
        groups.setdefault(table.dtypes[row], []).append(row)
    return [np.array(group, np.int64) for group in groups.values()]


def _crosses(table, row: int, stage: int) -> bool:
    return (
        table.stages[row] <= stage
        and table.values[row] is None
        and table.regions[row] == 0
        and table.operations[row] != "loop"
    )


def _fallen(fallback: Fallback, lanes: int, inputs: list[Any]) -> list[Any]:
    """An operation by `vmap`."""
    eqn = fallback.eqn
    axes = [0 if x.ndim > len(v.aval.shape) else None for x, v in zip(inputs, eqn.invars)]

    def one(*operands):
        out = bind(eqn, list(operands))
        return list(out) if eqn.primitive.multiple_results else [out]

    if all(axis is None for axis in axes):
        return one(*inputs)
    return jax.vmap(one, in_axes=axes, out_axes=0, axis_size=lanes)(*inputs)
