"""rm_es: against its reference, with memories of several sizes; how much it holds: test_parts_memory.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_steps import (
    KEY,
    SIZE,
    START,
    Case,
    N,
    ellipsoid,
    functions,
    normals,
    reaches_the_optimum,
    stays_finite,
    step_by_step,
)
from programs import quick
from references.rm_es import Reference

import jaxes

CASE = Case("rm_es", {"sigma": "sigma", "path": "p", "directions": "directions", "success": "s"}, 600, extra=2)


@functions
def test_step_by_step(function):
    step_by_step(CASE, function)


@pytest.mark.slow
def test_sphere():
    reaches_the_optimum(CASE)


def test_memories():
    """Of one direction and of three, against the reference."""
    for memory in (1, 3):
        with jax.enable_x64(True):
            strategy = jaxes.rm_es(SIZE, 0.5, memory=memory, gap=4.0)
            theirs = Reference(START, 0.5, SIZE, memory)
            theirs.T = 4
            state = strategy.init(KEY, jnp.asarray(START))
            tell = quick(strategy.tell)
            draw = normals(SIZE, N + memory)
            for t in range(30):
                x = theirs.ask(np.asarray(draw(jax.random.fold_in(KEY, t))))
                values = np.array([ellipsoid(row, 100.0) for row in x])
                theirs.tell(values)
                state, _ = tell(state, -values)
            np.testing.assert_allclose(state.directions, theirs.directions, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(state.sigma, theirs.sigma, rtol=1e-7)
            assert state.born.tolist() == theirs.t_hat


@pytest.mark.parametrize("memory", [0, 2.0, True])
def test_bad_memory(memory):
    with pytest.raises(ValueError, match="memory must be an int of 1 or more"):
        jaxes.rm_es(SIZE, memory=memory)


def test_ill_conditioned_in_f32():
    stays_finite(CASE)
