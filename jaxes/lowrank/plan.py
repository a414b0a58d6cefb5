"""Which parameters of a model can have perturbations of low rank, found by tracing the model."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.lowrank.interpreter import Use, structured
from jaxes.lowrank.leaf import LowRank


class Split(NamedTuple):
    """How the axes of a parameter are cut into a stack of matrices, each with a left and a right side."""

    stack: int  # how many axes are the stack's, from the first on
    left: int  # how many axes are the left side's; the rest is the right side


class Entry(NamedTuple):
    """What is planned for one parameter."""

    name: str
    shape: tuple[int, ...]
    split: Split | None  # None: dense noise
    why: str  # operations that use its factors, or why it is dense

    def ranks(self, rank: int) -> int:
        """The rank that is used if `rank` is asked for: at most the length of the smaller side."""
        if self.split is None:
            return 0
        left, right = sides(self.shape, self.split)
        return min(rank, left, right)


class Plan(NamedTuple):
    """An entry for each parameter, in the order of the tree's leaves; printed, it is a table."""

    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return table(self)


def sides(shape: tuple[int, ...], split: Split) -> tuple[int, int]:
    """Rows and columns of each matrix."""
    middle = split.stack + split.left
    return math.prod(shape[split.stack : middle]), math.prod(shape[middle:])


def usual(params: Any) -> Plan:
    """The plan without a model: every leaf of two or more axes is a matrix, whose columns are the last axis."""
    return Plan(tuple(_usual(name, leaf) for name, leaf in _named(params)))


def _usual(name: str, leaf: Any) -> Entry:
    shape = tuple(leaf.shape)
    if reason := _too_thin(shape, Split(0, len(shape) - 1)):
        return Entry(name, shape, None, reason)
    return Entry(name, shape, Split(0, len(shape) - 1), "all axes but the last, and the last")


def planned(given: Plan | None, params: Any) -> tuple[Entry, ...]:
    """The entries of a plan, or of the usual one; raises ValueError unless it is a plan for these parameters."""
    if given is None:
        return usual(params).entries
    wanted = [(name, tuple(leaf.shape)) for name, leaf in _named(params)]
    if not isinstance(given, Plan) or [(entry.name, entry.shape) for entry in given.entries] != wanted:
        raise ValueError(
            "plan must be made for the parameters that are perturbed, by jaxes.lowrank.plan(apply, params, x); got one "
            f"for {[entry.name for entry in given.entries] if isinstance(given, Plan) else given!r}, "
            f"the parameters are {[name for name, _ in wanted]}"
        )
    return given.entries


def plan(apply: Callable[..., Any], params: Any, *inputs: Any) -> Plan:
    """Trace a model and see where its parameters meet operations that can use factors.

    Args:
        apply: `apply(params, *inputs)`, a pure function, such as the `apply` of a Flax linen module.
        params: a tree of float arrays, or of their shapes.
        inputs: the other arguments of `apply` for one member, arrays or shapes.

    Returns:
        A plan for `jaxes.noise.low_rank(plan=...)`: for each parameter the axes of its sides, or why it must be dense.
        `print` it to read it.

    Raises:
        TypeError: if a parameter is no float array.
        ValueError: if the model changes its state when it is called.

    >>> import jax, jax.numpy as jnp
    >>> from jaxes import lowrank
    >>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    >>> entries = lowrank.plan(lambda p, x: x @ p["w"] + p["b"], params, jnp.zeros(3)).entries
    >>> [(entry.name, entry.split) for entry in entries]
    [("['b']", None), ("['w']", Split(stack=0, left=1))]
    """
    named = _named(params)
    tree = jax.tree.structure(params)
    found: list[Entry | None] = [None] * len(named)
    waiting = {i: _candidates(tuple(leaf.shape)) for i, (_, leaf) in enumerate(named)}
    for i, (name, leaf) in enumerate(named):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(f"params{name} must be a float array, got {leaf.dtype}: members perturb every leaf")
        if not waiting[i]:
            shape = tuple(leaf.shape)
            found[i] = Entry(name, shape, None, _too_thin(shape, Split(0, len(shape) - 1)) or "has one axis")
    while open_ones := [i for i, entry in enumerate(found) if entry is None]:
        tried = {i: waiting[i].pop(0) for i in open_ones}
        uses = _uses(apply, tree, named, tried, inputs)
        for i in open_ones:
            name, leaf = named[i]
            kept = sorted({use.operation for use in uses if use.name == name and use.kept})
            lost = sorted({use.operation for use in uses if use.name == name and not use.kept})
            if kept and not lost:
                found[i] = Entry(name, tuple(leaf.shape), tried[i], ", ".join(kept))
            elif not waiting[i]:
                found[i] = Entry(name, tuple(leaf.shape), None, f"met {', '.join(lost)}" if lost else "is not used")
    return Plan(tuple(entry for entry in found if entry is not None))


def explain(apply: Callable[..., Any], params: Any, *inputs: Any, rank: int = 1) -> Plan:
    """Print the plan for a model: which parameters are of low rank, which are dense, and why.

    Args:
        apply: as for `plan`: `apply(params, *inputs)`.
        params: as for `plan`: a tree of float arrays, or of their shapes.
        inputs: as for `plan`.
        rank: the rank that is asked for.

    Returns:
        The plan.

    >>> params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    >>> found = explain(lambda p, x: x @ p["w"] + p["b"], params, jnp.zeros(3))
    ['b']  2    dense          has no two sides
    ['w']  3x2  3 x 2, rank 1  dot_general
    """
    found = plan(apply, params, *inputs)
    print(table(found, rank))
    return found


def table(found: Plan, rank: int = 1) -> str:
    """The plan as lines of text."""
    rows = []
    for entry in found.entries:
        if entry.split is None:
            what = "dense"
        else:
            left, right = sides(entry.shape, entry.split)
            stack = math.prod(entry.shape[: entry.split.stack])
            what = f"{f'{stack} of ' if entry.split.stack else ''}{left} x {right}, rank {entry.ranks(rank)}"
            what += f" (of {rank} asked: its smaller side)" if entry.ranks(rank) < rank else ""
        rows.append((entry.name, "x".join(map(str, entry.shape)) or "scalar", what, entry.why))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join([*(x.ljust(w) for x, w in zip(row, widths, strict=False)), row[3]]) for row in rows)


def _named(params: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)]


def _too_thin(shape: tuple[int, ...], split: Split) -> str:
    if len(shape) < 2:
        return "has no two sides" if shape else "is a number"
    left, right = sides(shape, split)
    return "" if min(left, right) > 1 else "has a side of one"


def _candidates(shape: tuple[int, ...]) -> list[Split]:
    """Ways to see the axes as matrices, the likeliest first."""
    n = len(shape)
    ways = [Split(stack, left) for stack in range(n - 1) for left in range(n - 1 - stack, 0, -1)]
    return [way for way in ways if not _too_thin(shape, way)]


def _uses(apply, tree, named, tried: dict[int, Split], inputs) -> list[Use]:
    """What becomes of each parameter if those in `tried` are of low rank."""
    uses: list[Use] = []

    def shapes(i: int, leaf: Any) -> Any:
        if i not in tried:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
        return low_rank_shape(leaf, tried[i], 2, named[i][0])

    wanted = [shapes(i, leaf) for i, (_, leaf) in enumerate(named)]
    try:
        jax.eval_shape(structured(apply, uses), tree.unflatten(wanted), *inputs)
    except Exception as error:
        _explain_mutation(error)
        raise
    return uses


def low_rank_shape(leaf: Any, split: Split, rank: int, name: str = "") -> LowRank:
    """The shapes of a parameter with factors."""
    shape, k = tuple(leaf.shape), split.stack
    of = lambda *sizes: jax.ShapeDtypeStruct(sizes, leaf.dtype)
    stack, left, right = shape[:k], shape[k : k + split.left], shape[k + split.left :]
    return LowRank(of(*shape), of(*stack, rank, *left), of(*stack, rank, *right), of(), k, split.left, name=name)


def _explain_mutation(error: Exception) -> None:
    if type(error).__name__ in ("ModifyScopeVariableError", "TraceContextError"):
        raise ValueError(
            "apply must be a pure function of the parameters and inputs, but the model changes its state when it is "
            "called: pass what it changes as an input, such as lambda p, x: module.apply({'params': p, **state}, x), "
            f"or freeze it, such as use_running_average=True ({error})"
        ) from error
