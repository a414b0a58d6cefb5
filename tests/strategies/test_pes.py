"""pes: against its reference, staggered and in blocks; what it shares with nres: test_parts_unrolled.py."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gradient_steps import KEY
from programs import quick
from references.pes import Reference
from unrolled_steps import balancing, staggered, step_by_step

import jaxes
from jaxes.support import keys


def test_step_by_step(x64):
    step_by_step(jaxes.pes, Reference, lambda state, episode: keys.of_generation(state))


def test_staggered():
    staggered(jaxes.pes)


@pytest.mark.parametrize("stagger", [pytest.param(False, marks=pytest.mark.slow), True])
def test_blocks(stagger):
    """A block sees the inner states of its own members."""
    carries = []
    for blocks in (1, 4) if stagger else (1, 2, 4):
        strategy = jaxes.pes(8, 0.1, unrolls=3, stagger=stagger, blocks=blocks, tx=optax.sgd(0.01))
        problem = balancing(8, 3, stagger=stagger)
        carry = strategy.init(KEY, jnp.float32(0.4)), problem.init(KEY)
        run = quick(lambda c, s=strategy, p=problem: jax.lax.scan(jaxes.generation(s, p), c, length=7)[0])
        carries.append(run(carry))
    for other in carries[1:]:
        np.testing.assert_allclose(other[0].mean, carries[0][0].mean, rtol=1e-5)
        np.testing.assert_allclose(other[1].inner, carries[0][1].inner, rtol=1e-4, atol=1e-5)
    assert int(carries[0][1].step) == 7
