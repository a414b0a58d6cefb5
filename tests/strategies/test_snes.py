"""snes: against its reference."""

from references.snes import Reference
from simple_steps import START, step_by_step

import jaxes


def test_step_by_step(x64):
    step_by_step(jaxes.snes(12, 0.3), Reference(START, 0.3, 12), 12, 30)
