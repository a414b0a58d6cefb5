"""Loops and branches of a traced program.

A loop carries only what changes: elements that every turn leaves as they are stand outside, and elements that are
always equal are carried once. Which these are is found by tracing the body again until the guess holds.
"""

from typing import Any

import numpy as np

from jaxes.lanewise.table import BOOL, Loop
from jaxes.lanewise.trace import Tracer, UnsupportedError, elements_of
from jaxes.support.jaxprs import closed, parts_of_scan

Rows = np.ndarray


def cond(tracer: Tracer, eqn: Any, which: Rows, *operands: Rows) -> list[Rows]:
    """All branches, of which every element is chosen; one branch where the choice is known."""
    branches = [closed(branch) for branch in eqn.params["branches"]]
    row = int(which.reshape(-1)[0])
    known = tracer.table.values[row]
    if known is not None:
        return tracer.nested(branches[min(max(int(known), 0), len(branches) - 1)], list(operands))
    table = tracer.table
    outs = [tracer.nested(branch, list(operands)) for branch in branches]
    results = outs[0]
    for number, out in enumerate(outs[1:], 1):
        at_least = row if table.dtypes[row] == BOOL else table.row("ge", row, table.constant(number, table.dtypes[row]))
        results = [table.rows("select", np.int64(at_least), old, new) for old, new in zip(results, out)]
    return results


def scan(tracer: Tracer, eqn: Any, *inputs: Rows) -> list[Rows]:
    """A loop where there are only carries, otherwise every turn written out."""
    p = eqn.params
    sizes = parts_of_scan(p)
    if sizes is None:
        raise UnsupportedError("a scan of another version of JAX")
    constants, carried = sizes
    body, length = closed(p["jaxpr"]), p["length"]
    fixed, carry, scanned = (
        inputs[:constants],
        list(inputs[constants : constants + carried]),
        inputs[constants + carried :],
    )
    if not scanned and len(eqn.outvars) == carried and length > 1:
        step = lambda values: tracer.nested(body, [*fixed, *values])
        return looped(tracer, step, None, carry, length)
    outs: list[list[Rows]] = []
    for turn in range(length - 1, -1, -1) if p["reverse"] else range(length):
        results = tracer.nested(body, [*fixed, *carry, *(x[turn] for x in scanned)])
        carry = results[:carried]
        outs.append(results[carried:])
    outs = outs[::-1] if p["reverse"] else outs
    empty = [np.zeros(elements_of(v.aval)[0], np.int64) for v in eqn.outvars[carried:]]
    return [*carry, *(np.stack([out[i] for out in outs]) if outs else empty[i] for i in range(len(empty)))]


def while_(tracer: Tracer, eqn: Any, *inputs: Rows) -> list[Rows]:
    p = eqn.params
    first, second = p["cond_nconsts"], p["body_nconsts"]
    for_condition, for_body, carry = inputs[:first], inputs[first : first + second], list(inputs[first + second :])
    goes_on, body = closed(p["cond_jaxpr"]), closed(p["body_jaxpr"])
    condition = lambda values: int(tracer.nested(goes_on, [*for_condition, *values])[0].reshape(-1)[0])
    step = lambda values: tracer.nested(body, [*for_body, *values])
    return looped(tracer, step, condition, carry, None)


def looped(tracer: Tracer, step: Any, condition: Any, starts: list[Rows], length: int | None) -> list[Rows]:
    """Carry values through a loop."""
    table = tracer.table
    shapes = [x.shape for x in starts]
    flat = np.concatenate([x.reshape(-1) for x in starts]) if starts else np.zeros(0, np.int64)
    ends = np.cumsum([0, *(x.size for x in starts)])
    parts = lambda rows: [rows[a:b].reshape(s) for a, b, s in zip(ends, ends[1:], shapes)]
    joined = lambda values: np.concatenate([x.reshape(-1) for x in values]) if values else flat
    outside, counted = tracer.region, (tracer.before, len(tracer.loops))
    region = table.region(outside)
    # Elements that have been equal so far, and whether they have stayed as they were.
    groups = flat.copy()
    changed = np.zeros(len(flat), bool)
    stage = max((table.stages[i] for i in flat.tolist()), default=0)
    while True:
        tracer.before, tracer.loops[counted[1] :] = counted[0], []
        carried = {g: table.carried(table.dtypes[flat[i]], region, stage) for i, g in _firsts(groups, changed)}
        rows = np.array([carried[g] if c else row for g, c, row in zip(groups.tolist(), changed, flat)], np.int64)
        tracer.region = region
        try:
            going = None if condition is None else condition(parts(rows))
            nexts = joined(step(parts(rows)))
        finally:
            tracer.region = outside
        known = None if going is None else table.values[going]
        if known is not None and not known:
            return starts
        moved = changed | (nexts != rows)
        pairs = {}
        refined = np.array(
            [
                pairs.setdefault((g, n) if c else (g, -1), len(pairs))
                for g, n, c in zip(groups.tolist(), nexts.tolist(), moved)
            ]
        )
        if (moved == changed).all() and len(set(refined.tolist())) == len(set(groups.tolist())):
            break
        groups, changed = refined, moved
    if known is not None:
        raise UnsupportedError("a loop without an end")
    turns = 1 if length is None else length
    tracer.before = counted[0] + (tracer.before - counted[0]) * turns
    first = dict((g, i) for i, g in _firsts(groups, changed))
    order = list(first)
    loop = Loop(
        region,
        outside,
        length,
        going,
        tuple(carried[g] for g in order),
        tuple(int(flat[first[g]]) for g in order),
        tuple(int(nexts[first[g]]) for g in order),
    )
    tracer.loops.append((length, len(flat), len(order)))
    results = dict(zip(order, table.loop(loop)))
    out = [results[g] if c else row for g, c, row in zip(groups.tolist(), changed, flat.tolist())]
    return parts(np.array(out, np.int64))


def _firsts(groups: np.ndarray, changed: np.ndarray) -> list[tuple[int, int]]:
    """The first element of every group of those that change, and the group."""
    seen: dict[int, int] = {}
    for i in np.flatnonzero(changed).tolist():
        seen.setdefault(int(groups[i]), i)
    return [(i, g) for g, i in seen.items()]
