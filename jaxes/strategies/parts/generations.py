"""How states begin, and how they come to their next generation."""

from collections.abc import Container, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxes.schedules import Number, follow_all, start_all
from jaxes.support import checks, trees


def begin(
    key: jax.Array,
    params: Any,
    numbers: Mapping[str, Number | None],
    given: Mapping[str, Any],
    defaults: Mapping[str, float] | None = None,
    exclusive: Container[str] = ("sigma",),
) -> dict[str, Any]:
    """The fields that every state has before its first generation: `key`, `step` and the numbers.

    Args:
        key: from `init`.
        params: from `init`, checked.
        numbers: the factory's numbers by name; None means the default.
        given: the numbers that `init` was given.
        defaults: the values of numbers that depend on the parameters.
        exclusive: names of the numbers that must be above zero.
    """
    checks.finite(params)
    values = start_all(numbers, given, defaults or {}, trees.number_dtype(params), exclusive=exclusive)
    return {"key": checks.key(key), "step": jnp.int32(0), **values}


def advance(
    state: Any, numbers: Mapping[str, Number | None], fields: Mapping[str, Any], fitness: jax.Array | None = None
) -> Any:
    """The state of the next generation, whose numbers follow their schedules.

    The fields stay as they were where one would leave the range in which a search can be computed (`within_range`): on
    a function without a maximum steps grow for ever.

    Args:
        state: the state of this generation.
        numbers: the factory's numbers by name.
        fields: new values of fields of the state.
        fitness: if given, the fields stay as they were where no fitness is valid.
    """
    old = {name: getattr(state, name) for name in fields}
    usable = within_range(fields, old)
    if fitness is not None:
        usable &= ~jnp.all(jnp.isnan(fitness))
    fields = trees.where(usable, dict(fields), old)
    state = state._replace(step=state.step + 1, **fields)
    return state._replace(**follow_all(numbers, state, state.step))


def most(dtype: Any) -> float:
    """The largest number of a search: its products with others of its size are finite.

    >>> f"{most(jnp.float32):.0e}"
    '2e+17'
    """
    largest = float(jnp.finfo(dtype).max)
    return largest**0.45 if largest > 1e30 else largest / 4


def within_range(new: Mapping[str, Any], old: Mapping[str, Any]) -> jax.Array:
    """bool[]: whether no field but a fitness holds NaN, or a number so large that products with others overflow.

    Numbers that are as large already may stay, and so may those of an optimizer, which has looked at its gradient.

    >>> within_range({"mean": jnp.array([1e30])}, {"mean": jnp.array([1.0])}).item()
    False
    """
    fine = jnp.ones((), bool)
    for name in new:
        if "fitness" in name or name == "optimizer":
            continue
        for now, before in zip(jax.tree.leaves(new[name]), jax.tree.leaves(old[name]), strict=True):
            if jnp.issubdtype(jnp.result_type(now), jnp.floating):
                limit = jnp.asarray(most(now.dtype), now.dtype)
                fine &= jnp.max(jnp.abs(now)) <= jnp.maximum(limit, jnp.max(jnp.abs(before)))
    return fine
