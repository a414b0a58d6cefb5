"""Generations in blocks that draw every perturbation once, beside those that draw it again to learn from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxes
from jaxes import noise, shaping

KEY = jax.random.key(0)
PARAMS = {"w": jnp.linspace(-1, 1, 12).reshape(4, 3), "b": jnp.ones(3)}


def both(objective, **options):
    """The parameters after three generations in one pass, and in two."""
    streaming = jaxes.open_es(16, 0.1, learning_rate=0.1, blocks=4, **options)
    plain = streaming._replace(stream=None)
    ends = []
    for strategy in (streaming, plain):
        generation = jaxes.generation(strategy, jaxes.problem(objective))
        carry = strategy.init(KEY, PARAMS), ()
        (state, _), infos = jax.jit(lambda carry, step=generation: jax.lax.scan(step, carry, length=3))(carry)
        ends.append((state.mean, infos))
    return ends


def sphere(params):
    return -jnp.sum(jnp.square(params["w"])) - jnp.sum(jnp.square(params["b"]))


def failing(params):
    """Fails on half of space, or is infinite there."""
    return jnp.where(params["b"][0] > 1, jnp.nan, sphere(params))


@pytest.mark.parametrize("kind", [noise.gaussian, noise.low_rank])
@pytest.mark.parametrize("shape", [shaping.z_score, shaping.identity])
@pytest.mark.parametrize("objective", [sphere, failing, lambda params: 0.0 * sphere(params)])
def test_one_pass_moves_as_two_do(objective, shape, kind):
    once, twice = both(objective, shaping=shape(), noise=kind())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), once, twice)


def test_ranks_take_two_passes():
    assert jaxes.open_es(16, blocks=4).stream is None
    assert jaxes.open_es(16, blocks=4, shaping=shaping.z_score()).stream is not None


def test_no_population_is_held():
    """Compiled memory of a generation: some members' worth, of 64."""
    params = jnp.zeros(50_000)
    strategy = jaxes.open_es(64, 0.1, shaping=shaping.z_score(), blocks=32)
    problem = jaxes.problem(lambda x: -jnp.sum(jnp.square(x - 1)))
    step = jax.jit(jaxes.generation(strategy, problem))
    compiled = step.lower((strategy.init(KEY, params), ())).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 16 * params.nbytes
