"""What holds for every environment that jaxes itself brings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes.envs import own
from jaxes.envs.protocol import Box


@pytest.mark.parametrize("name", own.OWN)
def test_numbers_are_single_where_jax_is_set_to_doubles(name):
    env = jaxes.envs.make(f"jaxes/{name}")
    with jax.enable_x64(True):
        action = np.zeros(env.action.low.shape) if isinstance(env.action, Box) else np.int64(0)
        first = jax.eval_shape(env.reset, jax.random.key(0))
        second = jax.eval_shape(env.step, first, jax.ShapeDtypeStruct(action.shape, action.dtype))
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(first)]
    assert dtypes == [leaf.dtype for leaf in jax.tree.leaves(second)]
    assert not {jnp.dtype("float64"), jnp.dtype("int64")} & set(dtypes)
