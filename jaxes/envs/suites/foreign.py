"""Calling packages that do not keep the rules of this library."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxes.envs.protocol import EnvState


@contextlib.contextmanager
def foreign():
    """The context for code that mixes dtypes and ranks freely and uses deprecated functions."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(_devices_of_this_process())
        warnings.filterwarnings("ignore", message="Brax System", category=UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


@contextlib.contextmanager
def _devices_of_this_process():
    """Let `jax.devices()[0]`, which MuJoCo's JAX port takes, be a device of this process rather than of the first."""
    if jax.process_count() == 1:
        yield
        return
    every = jax.devices
    jax.devices = lambda backend=None: jax.local_devices(backend=backend)
    try:
        yield
    finally:
        jax.devices = every


def pure(env: Any, wrap: Callable[[Any], EnvState]) -> tuple[Callable[..., EnvState], Callable[..., EnvState]]:
    """The functions `(reset, step)` of an environment with Brax's interface.

    Args:
        env: mutates the dictionaries of the state that it is given.
        wrap: makes of its state an `EnvState` with that state as the physics.
    """

    def reset(key):
        with foreign():
            return wrap(env.reset(key))

    def step(state, action):
        with foreign():
            before = state.physics.replace(metrics=dict(state.physics.metrics), info=dict(state.physics.info))
            return wrap(env.step(before, action))

    return reset, step


def strong(tree: Any) -> Any:
    """The same tree without weak types, so that the first state of an episode has the types of all later ones."""
    tree = jax.tree.map(jnp.asarray, tree)
    return jax.tree.map(lambda x: lax.convert_element_type(x, x.dtype) if x.weak_type else x, tree)
