"""The examples run as they stand."""

import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_environment(capsys):
    path = EXAMPLES / "own_environment.py"
    assert len(path.read_text().splitlines()) <= 40
    names = runpy.run_path(str(path), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    first, last = float(lines[0].split()[2]), float(lines[-1].split()[2])
    assert last > 100 > first, "it learns to stop at the flag"
    assert names["report"].generation == 12


def test_learned_model():
    names = runpy.run_path(str(EXAMPLES / "learned_model.py"))
    data = names["collect"](jax.random.key(0), episodes=4)
    assert [x.shape for x in data] == [(400, 3), (400, 1), (400, 3)]
    np.testing.assert_array_equal(data[0][1:100], data[2][:99])
    with jax.numpy_dtype_promotion("standard"):  # of optax's schedules
        _, errors = names["fit"](jax.random.key(1), data, steps=200)
    assert errors[-20:].mean() < 0.1 * errors[0]


@pytest.mark.slow
def test_planning_in_a_learned_model(capsys):
    with jax.numpy_dtype_promotion("standard"):
        runpy.run_path(str(EXAMPLES / "learned_model.py"), run_name="__main__")
    untrained, learned = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:])
    assert untrained < -900 < -350 < learned
