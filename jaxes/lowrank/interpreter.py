"""Run any function of parameters of low rank, operation by operation.

The function is traced as if its parameters were ordinary arrays. Where a parameter of low rank meets an operation that
has a rule (`jaxes.lowrank.rules`), its factors are used; any other operation is given the matrix itself, which is
always right.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend import core

from jaxes.lowrank.leaf import any_low_rank, dense, is_low_rank
from jaxes.lowrank.rules import RULES
from jaxes.support.jaxprs import bind, called, closed, parts_of_scan


class Use(NamedTuple):
    """What became of a parameter at one operation."""

    name: str  # of the parameter
    operation: str
    kept: bool  # by its factors; otherwise the matrix was made


def structured(function: Callable[..., Any], uses: list[Use] | None = None) -> Callable[..., Any]:
    """The same function for arguments whose leaves may be `LowRank`; its results are arrays.

    Args:
        function: a function of trees of arrays.
        uses: a list, to which what became of each parameter of low rank is appended.

    >>> import jax.numpy as jnp
    >>> from jaxes.lowrank import LowRank
    >>> w = LowRank(jnp.zeros((3, 2)), jnp.ones((1, 3)), jnp.ones((1, 2)), 0.5)
    >>> structured(lambda w, x: x @ w)(w, jnp.ones(3)).tolist()
    [1.5, 1.5]
    """

    def run(*arguments):
        if not any_low_rank(arguments):
            return function(*arguments)
        leaves, tree = jax.tree.flatten(arguments, is_leaf=is_low_rank)
        leaves = [x if hasattr(x, "dtype") else jax.numpy.asarray(x) for x in leaves]
        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) if is_low_rank(x) else x for x in leaves]
        jaxpr, out = jax.make_jaxpr(lambda *args: function(*args), return_shape=True)(*tree.unflatten(shapes))
        outs = _interpret(jaxpr, leaves, uses if uses is not None else [])
        return jax.tree.unflatten(jax.tree.structure(out), [dense(x) for x in outs])

    return run


def _interpret(function: core.ClosedJaxpr, arguments: list[Any], uses: list[Use]) -> list[Any]:
    jaxpr = function.jaxpr
    values: dict[Any, Any] = {}
    read = lambda v: v.val if isinstance(v, core.Literal) else values[v]
    values.update(zip(jaxpr.constvars, function.consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    last = _last_uses(jaxpr)
    for i, eqn in enumerate(jaxpr.eqns):
        inputs = [read(v) for v in eqn.invars]
        with getattr(eqn.ctx, "manager", contextlib.nullcontext()):
            outs = _equation(eqn, inputs, uses)
        values.update(zip(eqn.outvars, outs, strict=True))
        for v in last.get(i, ()):
            values.pop(v, None)
    return [read(v) for v in jaxpr.outvars]


def _last_uses(jaxpr: Any) -> dict[int, list[Any]]:
    """For the number of each equation, the variables that no later equation needs."""
    last: dict[Any, int] = {}
    for i, eqn in enumerate(jaxpr.eqns):
        last.update((v, i) for v in (*eqn.invars, *eqn.outvars) if not isinstance(v, core.Literal))
    kept = {v for v in jaxpr.outvars if not isinstance(v, core.Literal)}
    after: dict[int, list[Any]] = {}
    for v, i in last.items():
        if v not in kept:
            after.setdefault(i, []).append(v)
    return after


def _equation(eqn: Any, inputs: list[Any], uses: list[Use]) -> list[Any]:
    name, params = eqn.primitive.name, eqn.params
    if not any(map(is_low_rank, inputs)):
        outs = bind(eqn, inputs)
    elif (inner := called(eqn)) is not None:
        return _interpret(inner, inputs, uses)
    elif name == "scan" and (sizes := parts_of_scan(params)) is not None:
        return _scan(inputs, sizes, params, uses)
    elif name == "while":
        return _while(inputs, params, uses)
    elif name == "cond":
        return _cond(inputs, params, uses)
    else:
        outs = RULES[name](*inputs, **params) if name in RULES else None
        uses.extend(Use(x.name, name, outs is not None) for x in inputs if is_low_rank(x))
        if outs is None:
            outs = bind(eqn, [dense(x) for x in inputs])
    return list(outs) if eqn.primitive.multiple_results else [outs]


def _arrays(jaxpr: Any, arguments: list[Any], uses: list[Use]) -> list[Any]:
    """What a jaxpr gives for these arguments, as arrays."""
    return [dense(x) for x in _interpret(closed(jaxpr), arguments, uses)]


def _scan(inputs: list[Any], sizes: tuple[int, int], params: dict[str, Any], uses: list[Use]) -> list[Any]:
    """Parameters that are the same in every step keep their factors, and so do slices of stacked ones."""
    constants, carried = sizes
    fixed, carry, scanned = (inputs[:constants], inputs[constants : constants + carried], inputs[constants + carried :])
    uses.extend(Use(x.name, "a loop's carry", False) for x in carry if is_low_rank(x))
    # A slice of one side keeps its factors too, but all steps share the other ones: a stack is better.
    uses.extend(Use(x.name, "a scan along a side", False) for x in scanned if is_low_rank(x) and not x.stack)
    parts, rebuilds = zip(*map(_sliced, scanned), strict=True) if scanned else ((), ())

    def body(carry, parts):
        slices = [rebuild(part) for rebuild, part in zip(rebuilds, parts, strict=True)]
        outs = _arrays(params["jaxpr"], [*fixed, *carry, *slices], uses)
        return outs[:carried], outs[carried:]

    how = {"length": params["length"], "reverse": params["reverse"], "unroll": params["unroll"]}
    carry, outs = lax.scan(body, [dense(x) for x in carry], list(parts), **how)
    return [*carry, *outs]


def _sliced(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """What a scan slices along its first axis in place of `x`, and a function that makes a slice of `x` from it."""
    if not is_low_rank(x):
        return x, lambda part: part
    if x.stack:
        return (x.w, x.a, x.b), lambda part: replace(x, w=part[0], a=part[1], b=part[2], stack=x.stack - 1)
    if x.left > 1:
        rows = jax.numpy.moveaxis(x.a, 1, 0)
        return (x.w, rows), lambda part: replace(x, w=part[0], a=part[1], left=x.left - 1)
    return x.dense(), lambda part: part


def _while(inputs: list[Any], params: dict[str, Any], uses: list[Use]) -> list[Any]:
    first, second = params["cond_nconsts"], params["body_nconsts"]
    for_condition, for_body, carry = inputs[:first], inputs[first : first + second], inputs[first + second :]
    uses.extend(Use(x.name, "a loop's carry", False) for x in carry if is_low_rank(x))
    return list(
        lax.while_loop(
            lambda carry: _arrays(params["cond_jaxpr"], [*for_condition, *carry], uses)[0],
            lambda carry: _arrays(params["body_jaxpr"], [*for_body, *carry], uses),
            [dense(x) for x in carry],
        )
    )


def _cond(inputs: list[Any], params: dict[str, Any], uses: list[Use]) -> list[Any]:
    which, *operands = inputs
    branches = [lambda branch=branch: _arrays(branch, operands, uses) for branch in params["branches"]]
    return list(lax.switch(which, branches))
