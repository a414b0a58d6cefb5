"""nres: against its reference, and staggered; what it shares with pes: test_parts_unrolled.py."""

import jax
from references.nres import Reference
from unrolled_steps import staggered, step_by_step

import jaxes


def test_step_by_step(x64):
    step_by_step(jaxes.nres, Reference, lambda state, episode: jax.random.fold_in(state.key, episode))


def test_staggered():
    staggered(jaxes.nres)
