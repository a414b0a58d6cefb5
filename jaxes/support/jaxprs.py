"""Reading a jaxpr in the same way whatever the version of JAX is."""

from typing import Any

import jax
from jax.extend import core

# Operations that call a jaxpr once, with their operands, by the names that one or another version of JAX gives them;
# and the names of the parameter that holds it.
CALLS = (
    *("jit", "pjit", "closed_call", "eval_jaxpr", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vmap_call"),
)
CALLED = ("jaxpr", "call_jaxpr", "call")


def called(eqn: Any) -> core.ClosedJaxpr | None:
    """The jaxpr that an operation calls once with its operands; None for other operations."""
    if eqn.primitive.name not in CALLS:
        return None
    inner = next((eqn.params[key] for key in CALLED if key in eqn.params), None)
    return None if inner is None else closed(inner)


def closed(jaxpr: Any) -> core.ClosedJaxpr:
    """A jaxpr with its constants, also where it has none and stands alone."""
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def bind(eqn: Any, inputs: list[Any]) -> Any:
    """Do an equation's operation on other operands."""
    given = eqn.primitive.get_bind_params(eqn.params)
    if isinstance(given, tuple):  # before JAX 0.10: functions first
        functions, params = given
        return eqn.primitive.bind(*functions, *inputs, **params)
    return eqn.primitive.bind(*inputs, **given)


def parts_of_scan(params: dict[str, Any]) -> tuple[int, int] | None:
    """How many operands of a scan are constants and carried; None where this version of JAX does not tell."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    try:
        constants, carried, _ = map(len, params["ft_in"].unpack())  # since JAX 0.11
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return constants, carried


def varying_like(outs: Any, operands: Any) -> list[Any]:
    """Arrays, told to vary over those axes of `shard_map` over which one of some operands does."""
    axes = set().union(*map(_varying, operands))
    return [_told(x, tuple(sorted(axes - _varying(x)))) for x in outs]


def _varying(x: Any) -> set[str]:
    kind = jax.typeof(x)
    return set(kind.vma if hasattr(kind, "vma") else getattr(getattr(kind, "manual_axis_type", None), "varying", ()))


def _told(x: Any, axes: tuple[str, ...]) -> Any:
    if not axes:
        return x
    if not hasattr(jax.lax, "pcast"):  # before JAX 0.9
        return jax.lax.pvary(x, axes)  # pyrefly: ignore
    return jax.lax.pcast(x, axes, to="varying")
