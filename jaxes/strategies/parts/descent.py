"""What strategies with a gradient share: an optimizer that moves the mean, and its numbers in the state."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxes.schedules import Number
from jaxes.strategies.parts import optimizers
from jaxes.strategies.parts.generations import advance, begin
from jaxes.strategies.parts.optimizers import Optimizer
from jaxes.strategy import Info, summarize
from jaxes.support import checks, trees

Decay = Literal["decoupled", "l2"]


class Descent(NamedTuple):
    """`init` makes the fields of a state, `step` moves them."""

    init: Callable[..., dict[str, Any]]
    """`init(key, params, **given) -> {field: value}`: key, step, mean, optimizer and the numbers; `given` overrides
    the factory's numbers, and a name that is not among them raises TypeError"""
    step: Callable[..., tuple[Any, Info]]
    """`step(state, fitness, gradient, **fields) -> (state, info)`: `gradient` is to be descended; `fields` are new
    values of further fields of the state. All of them, like the mean, stay as they were if no fitness is valid, or if
    the gradient is too large for its dtype."""


def descent(
    tx: Optimizer | None,
    decay: Decay,
    default_rate: float = 0.01,
    *,
    learning_rate: Number | None,
    weight_decay: Number,
    **numbers: Number,
) -> Descent:
    """One step of an optimizer in each generation.

    Args:
        tx: an optax transformation, run on the real parameter tree, or the name or factory of one (`optimizers.given`);
            Adam by default. One that asks for a `value`, such as `optax.contrib.reduce_on_plateau`, is given minus the
            mean fitness of the valid members (which may be below 0, where that one's `rtol` must be 0).
        decay: "decoupled" takes `learning_rate * weight_decay * mean` off the mean (Loshchilov & Hutter 2019); "l2"
            adds `weight_decay * mean` to the gradient before the optimizer, as OpenAI's code does.
        default_rate: the step size where `learning_rate` is None.
        learning_rate: scales the update of tx; None means 1 beside a transformation, and `default_rate` otherwise.
        weight_decay: strength of the decay.
        numbers: the strategy's other numbers, which may be schedules; `sigma` must be above 0.
    """
    checks.one_of("decay", decay, ("decoupled", "l2"))
    chosen, rate = optimizers.given(tx, learning_rate, default_rate)
    optimizer = chosen if tx is None else optimizers.with_value(chosen)
    value_of = (lambda fitness: {}) if tx is None else lambda fitness: {"value": optimizers.value(fitness)}
    values = {**numbers, "learning_rate": rate, "weight_decay": weight_decay}

    def init(key, params, **given):
        params = checks.params(params)
        with jax.numpy_dtype_promotion("standard"):
            first = optimizer.init(params) if tx is None else optimizers.begun(optimizer, params)
        return {"mean": params, "optimizer": first, **begin(key, params, values, given)}

    def step(state, fitness, gradient, **fields):
        if decay == "l2":
            gradient = trees.add_scaled(gradient, state.weight_decay, state.mean)
        with jax.numpy_dtype_promotion("standard"):
            update, after = optimizer.update(gradient, state.optimizer, state.mean, **value_of(fitness))
        mean = trees.add_scaled(state.mean, state.learning_rate, update)
        if decay == "decoupled":
            mean = trees.add_scaled(mean, -state.learning_rate * state.weight_decay, state.mean)
        # A gradient whose square overflows would stay in the optimizer's moments for ever.
        size = trees.norm(gradient)
        usable = jnp.where(jnp.isfinite(size), fitness, jnp.nan)
        new = advance(state, values, {"mean": mean, "optimizer": after, **fields}, usable)
        return new, summarize(fitness, state.mean, new.mean, state.sigma, size)

    return Descent(init, step)
