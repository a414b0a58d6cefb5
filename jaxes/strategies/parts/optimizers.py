"""Which optimizer moves a mean: an optax transformation, the name of one, or a factory."""

import inspect
import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxes.schedules import Number
from jaxes.shaping import finite
from jaxes.support import checks, trees

Optimizer = optax.GradientTransformation | Callable[..., optax.GradientTransformation] | str

NAMES = (
    *("adabelief", "adagrad", "adam", "adamax", "adamw", "amsgrad", "lamb", "lars", "lion", "nadam", "nadamw"),
    *("novograd", "radam", "rmsprop", "sgd", "sm3", "yogi"),
)
"""Optimizers of optax that a learning rate is enough for."""


def given(
    tx: Optimizer | None, learning_rate: Number | None, default_rate: float
) -> tuple[optax.GradientTransformation, Number]:
    """The transformation that is meant, and what its update is multiplied by.

    Args:
        tx: a transformation; or the name of an optimizer in `NAMES`, or a factory such as `optax.adam` that is not
            called, both at the strategy's learning rate. A factory that needs no argument brings its own learning rate.
            None is Adam.
        learning_rate: the strategy's, None for the default.
        default_rate: the default beside a name or a factory; beside a transformation it is 1.

    Raises:
        TypeError: if it is anything else.
        ValueError: if the name is not known.

    >>> given("adam", None, 0.01)[1], given(optax.adam, 0.1, 0.01)[1], given(optax.adam(0.02), None, 0.01)[1]
    (0.01, 0.1, 1.0)
    """
    default = 1.0
    if tx is None:
        tx, default = optax.chain(optax.scale_by_adam(), optax.scale(-1.0)), default_rate
    if isinstance(tx, str):
        tx = getattr(optax, checks.named("tx", tx, NAMES))
    if callable(tx) and not _fits(tx):
        tx, default = _called(tx, default_rate)
    if not _fits(tx):
        got = "several; optax.chain makes one of them" if isinstance(tx, tuple | list) else repr(tx)
        raise TypeError(
            f"tx must be an optax transformation such as optax.adam(0.01), a factory or one of {', '.join(NAMES)}; "
            f"got {got}"
        )
    return tx, default if learning_rate is None else learning_rate


def _fits(tx: Any) -> bool:
    return callable(getattr(tx, "init", None)) and callable(getattr(tx, "update", None))


def _called(factory: Callable[..., Any], default_rate: float) -> tuple[Any, float]:
    """What a factory makes, with a learning rate of 1 if it needs one, and the strategy's default rate beside it."""
    parameters = inspect.signature(factory).parameters.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]
    if needed == ["learning_rate"]:
        return factory(learning_rate=1.0), default_rate
    if needed:
        name = getattr(factory, "__name__", repr(factory))
        raise TypeError(
            f"tx must be an optax transformation such as optax.adam(0.01), got the function {name}; call it with "
            f"{', '.join(needed)}"
        )
    return factory(), 1.0


def with_value(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`tx` as a transformation that is given the value beside the gradient, whether it takes it or not."""
    whole = optax.with_extra_args_support(tx)

    def update(gradient, state, params, *, value):
        try:
            return whole.update(gradient, state, params, value=value)
        except TypeError as error:
            try:  # one that takes other arguments only, such as `optax.contrib.sam`
                return whole.update(gradient, state, params)
            except TypeError:
                raise error from None

    return optax.GradientTransformationExtraArgs(tx.init, update)


def begun(optimizer: optax.GradientTransformationExtraArgs, params: Any) -> Any:
    """The optimizer's first state; raise if an update would fail for want of what a search does not have."""
    loss = jax.ShapeDtypeStruct((), trees.number_dtype(params))
    log = logging.getLogger("absl")  # optax warns there of what is an error here
    said: list[logging.LogRecord] = []
    keep = lambda record: bool(said.append(record))
    log.addFilter(keep)
    try:
        state = optimizer.init(params)
        jax.eval_shape(lambda *given, value: optimizer.update(*given, value=value), params, state, params, value=loss)
    except Exception as error:
        raise TypeError(
            "tx must be an optax transformation that needs the gradient, the parameters and a value to descend, and "
            f"no more; this one fails: {error}"
        ) from error
    finally:
        log.removeFilter(keep)
    for record in said:
        log.handle(record)
    return state


def value(fitness: jax.Array) -> jax.Array:
    """What an optimizer descends: minus the mean fitness of the valid members, infinite ones read as by a shaping."""
    valid = ~jnp.isnan(fitness)
    share = 1 / jnp.maximum(jnp.sum(valid), 1).astype(fitness.dtype)
    return -jnp.sum(jnp.where(valid, finite(fitness), 0) * share)
