"""`jaxes.lanewise`: a function of one lane whose `vmap` is one program for all lanes."""

import functools
import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from jaxes.lanewise import nvidia
from jaxes.lanewise.explanation import Explanation, explained, left
from jaxes.lanewise.kernel import Target
from jaxes.lanewise.program import run, traced
from jaxes.lanewise.trace import Opaque, Program, UnsupportedError, inlined

# A program that falls back more often is better left to `vmap` as a whole.
MOST_FALLBACKS = 32
# Programs of fewer operations, and those that write so many numbers and compute fewer, are as fast by `vmap`
# (benchmarks/lanewise_everywhere.py).
FEW_OPERATIONS = 16
MANY_WRITTEN = 2_000
# What a program also depends on.
SETTINGS = ("jax_enable_x64", "jax_threefry_partitionable", "jax_default_prng_impl")


class _Lanewise:
    """Make a function of one lane whose `vmap` runs as one program for all lanes.

    `jax.vmap` of an ordinary function is hundreds of small operations on arrays [lanes, ...]. Here every element of
    every array is a vector of its own, a number a lane: constants are folded, equal expressions shared, movements of
    data done while tracing, and what is left is one kernel that goes through vectors of lanes.

    The values are those of `vmap` up to rounding, NaN and infinities too. Operations without a rule (callbacks, keys of
    other generators than JAX's default, numbers of 16 bits and complex ones, decompositions of matrices, sorting of
    more than 64 elements, indices that a lane computes into large arrays, arrays of more than 20,000 elements) are done
    by `vmap`, between kernels; a warning says so, once a function. Derivatives are those of `vmap`, but for functions
    with a `custom_vjp` inside, which have none in reverse. Use it inside `jax.jit`: the function is traced anew at
    every call outside of it. What is mapped or differentiated has to be an argument, not a value that the function
    closes over.

    Args:
        function: a function of trees of arrays, pure.
        finite: take every number for finite when folding: `0 * x` is 0 even if x could be NaN or infinite. Then fewer
            operations are left, and NaN and infinities may get lost.
        whole: leave all of the function to `vmap` where a part of it would be.
        quiet: say nothing of what is left to `vmap`.
        fast: approximate sines, roots and divisions on NVIDIA cards (`--use_fast_math`).
        choosy: leave to `vmap` as a whole what is likely to be as fast by it: programs of a few operations, and those
            that do little but write thousands of numbers.

    Returns:
        The same function.

    >>> import jax, jax.numpy as jnp, jaxes
    >>> def step(position, velocity):
    ...     velocity = velocity - 0.1 * position
    ...     return position + 0.1 * velocity, velocity
    >>> fast = jax.jit(jax.vmap(jaxes.lanewise(step)))
    >>> fast(jnp.ones((4, 3)), jnp.zeros((4, 3)))[1].shape
    (4, 3)
    >>> print(jaxes.lanewise.explain(step, jnp.ones(3), jnp.zeros(3)))
    12 operations became 12
    """

    def __call__(
        self,
        function: Callable[..., Any],
        *,
        finite: bool = False,
        whole: bool = False,
        quiet: bool = False,
        fast: bool = False,
        choosy: bool = False,
    ) -> Callable[..., Any]:
        if not callable(function):
            raise TypeError(f"function must be a function of one lane, not {type(function).__name__}")
        for name, value in {"finite": finite, "whole": whole, "quiet": quiet, "fast": fast, "choosy": choosy}.items():
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False; got {value!r}")
        return _lanewise(function, finite, 0 if whole else MOST_FALLBACKS, quiet, fast, choosy)

    def explain(
        self, function: Callable[..., Any], *arguments: Any, finite: bool = False, choosy: bool = False
    ) -> Explanation:
        """What becomes of a function.

        Operations are counted on single elements, those in a loop once for every turn; one that is left is an
        instruction for a vector of lanes (a random number is a hundred of them). Fewer are faster, and so are loops
        that carry little; what is done by `vmap` is not.

        Args:
            function: a function of one lane, such as `env.step`.
            *arguments: one lane's arguments, arrays or their shapes (`jax.ShapeDtypeStruct`, `jax.eval_shape`).
            finite: as for `lanewise`.
            choosy: likewise; rollouts are.

        Returns:
            Operations before and after, what falls back and why, and what loops carry.
        """
        if not callable(function):
            raise TypeError(f"function must be a function of one lane, not {type(function).__name__}")
        closed = jax.make_jaxpr(function)(*arguments)
        try:
            program = traced(closed, finite=finite, platform=platform())
        except UnsupportedError as error:
            return Explanation(0, 0, (), (), str(error))
        whole = _whole(program) or (_hardly_faster(program) if choosy else None)
        return explained(program)._replace(whole=whole)


lanewise = _Lanewise()


def platform() -> str:
    """Where functions run that are not told where: "cpu", "cuda", or another name of JAX's."""
    device = getattr(jax.config, "jax_default_device", None)
    name = getattr(device, "platform", device) or jax.default_backend()
    return "cuda" if name == "gpu" and jax.devices(name)[0].client.platform_version.startswith("cuda") else name


@cache
def unavailable(platform: str) -> str | None:
    """Why there are no kernels here; None where there are."""
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed"
    if platform == "cuda":
        return nvidia.missing()
    return None if platform == "cpu" else f"there are no kernels for {platform}"


def _whole(program: Program, most: int = MOST_FALLBACKS) -> str | None:
    """Why a program is better left to `vmap` as a whole; None where it is not."""
    if len(program.fallbacks) > most:
        return f"{len(program.fallbacks)} operations without a rule: {_names(program)}"
    if not any(not isinstance(value, Opaque) and value.size for value in program.outputs):
        return f"nothing is left to lanes: {_names(program)}" if program.fallbacks else "it computes nothing"
    return None


def _hardly_faster(program: Program) -> str | None:
    """Why `vmap` is likely to be as fast; None where it is not."""
    written = sum(value.size for value in program.outputs if not isinstance(value, Opaque))
    counts = left(program)
    done = counts.total()
    few = done < FEW_OPERATIONS and not any(name.startswith("threefry") for name in counts)  # a hundred each
    if few or (written > MANY_WRITTEN and done < written):
        return f"{done:,} operations that write {written:,} numbers"
    return None


def _names(program: Program) -> str:
    """What falls back, and why."""
    return ", ".join(sorted({f"{f.eqn.primitive.name} ({f.reason})" for f in program.fallbacks}))


def _nexts(arguments: tuple[Any, ...], outs: Any) -> dict[int, int]:
    """Leaves of the arguments, and those of the result that are likely to come next in their place."""
    tree, at = jax.tree.structure(outs), 0
    for argument in arguments:
        if jax.tree.structure(argument) == tree:
            return {at + j: j for j in range(tree.num_leaves)}
        at += len(jax.tree.leaves(argument))
    return {j: j for j in range(tree.num_leaves)} if jax.tree.structure(arguments) == tree else {}


def _lanewise(
    function: Callable[..., Any], finite: bool, most: int, quiet: bool, fast: bool, choosy: bool
) -> Callable[..., Any]:
    programs: dict[Any, Program | None] = {}
    said: set[str] = set()
    name = getattr(function, "__name__", type(function).__name__)

    def say(reason: str) -> None:
        if not quiet and reason not in said:
            said.add(reason)
            warnings.warn(f"jaxes.lanewise: {name} is done by vmap, {reason}", stacklevel=2)

    def whole(arguments, named):
        return function(*arguments, **named)

    def program_of(shapes: Any, platform: str) -> tuple[Program | None, Any, list[Any]]:
        closed, outs = jax.make_jaxpr(jax.jit(whole), return_shape=True)(*shapes)
        unknown = [c for c in closed.consts if isinstance(c, jax.core.Tracer)]
        leaves, tree = jax.tree.flatten(shapes)
        settings = tuple(getattr(jax.config, name) for name in SETTINGS)
        key = None if unknown else (tree, tuple((x.shape, x.dtype, x.weak_type) for x in leaves), platform, settings)
        if key not in programs or key is None:
            try:
                program = traced(closed, finite=finite, platform=platform)
                reason = _whole(program, most) or (_hardly_faster(program) if choosy else None)
            except UnsupportedError as error:
                program, reason = None, str(error)
            if program is not None and reason is None and program.fallbacks:
                say(f"in part: {_names(program)}")
            elif reason is not None:
                program = None
                say(reason)
            programs[key] = program
        return programs[key], outs, unknown

    @jax.custom_batching.custom_vmap
    def called(arguments, named):
        return whole(arguments, named)

    @called.def_vmap
    @inlined
    def _(lanes, batched, *given):
        leaves, tree = jax.tree.flatten(given)
        flags = jax.tree.leaves(batched)
        kinds = [jax.typeof(x) for x in leaves]
        one = lambda kind, b: kind.shape[1:] if b else kind.shape
        shapes = [jax.ShapeDtypeStruct(one(k, b), k.dtype, weak_type=k.weak_type) for k, b in zip(kinds, flags)]
        by_vmap = jax.vmap(whole, in_axes=tree.unflatten([0 if b else None for b in flags]), axis_size=lanes)
        here = platform()

        def by_kernel(*given):
            program, outs, unknown = program_of(tree.unflatten(shapes), here)
            if program is None:
                return by_vmap(*given)
            nexts = {len(unknown) + i: j for i, j in _nexts(given[0], outs).items()}
            arrays = [*unknown, *map(jnp.asarray, jax.tree.leaves(given))]
            leaves = run(program, lanes, arrays, Target(here, fast), nexts)
            return jax.tree.unflatten(jax.tree.structure(outs), leaves)

        if (reason := unavailable(here)) is not None:
            say(reason)
            out = by_vmap(*given)
        elif jax.default_backend() == "cpu":
            out = by_kernel(*given)
        else:
            out = lax.platform_dependent(*given, **{here: by_kernel}, default=by_vmap)
        return out, jax.tree.map(lambda _: True, out)

    @jax.custom_jvp
    def differentiable(arguments, named):
        return called(arguments, named)

    @differentiable.defjvp
    def _(primals, tangents):
        return jax.jvp(whole, primals, tangents)

    @functools.wraps(function)
    def made(*arguments, **named):
        return differentiable(arguments, named)

    return made
