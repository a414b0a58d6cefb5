"""Brax environments and their compiled functions, made once for all tests of a process."""

import functools

import jax
import numpy as np

import jaxes


@functools.cache
def made(name, backend=None):
    """(env, jitted reset, jitted step)"""
    env = jaxes.envs.make(f"brax/{name}", backend=backend)
    return env, jax.jit(env.reset), jax.jit(env.step)


def brax_env(name, backend):
    """Brax's own environment."""
    from jaxes.envs.suites import brax
    from jaxes.envs.suites.foreign import foreign
    from jaxes.envs.suites.mujoco_tools import quiet

    with foreign(), quiet():
        return brax._import_brax().get_environment(name, backend=backend)


def finite(tree):
    leaves = [x for x in jax.tree.leaves(tree) if np.issubdtype(np.asarray(x).dtype, np.floating)]
    return all(np.isfinite(x).all() for x in leaves)
