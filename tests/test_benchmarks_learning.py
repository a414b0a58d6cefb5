"""What the benchmarks of learning share."""

import importlib
import math

import numpy as np
import pytest
from toys import chase

import jaxes
from jaxes import rl


@pytest.fixture
def learning(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    return importlib.import_module("_learning")


def test_a_seed_has_the_same_curve_whatever_runs_beside_it(learning):
    env = chase()
    policy = rl.mlp(env, hidden=())
    strategy = jaxes.open_es(16, 0.1, learning_rate=0.1)
    run = lambda seeds: learning.curves(env, policy, strategy, generations=8, seeds=seeds, episodes=4)
    three = run(3)
    assert three.shape == (3, 8)
    np.testing.assert_array_equal(run(1)[0], three[0])
    assert len({curve[0] for curve in three}) == 3
    assert np.all(three[:, -1] > three[:, 0])


def test_a_target_is_reached_at_the_first_generation_at_or_above_it(learning):
    curve = np.array([1.0, 3.0, 2.0, 5.0])
    assert [learning.reached(curve, target) for target in (0, 3, 4, 6)] == [1, 2, 4, math.inf]


def test_a_summary_is_of_the_seeds(learning):
    rows = learning.summary(np.array([[1.0, 2.0], [3.0, 8.0], [2.0, 5.04]]))
    assert rows == {"median": [2.0, 5.0], "low": [1.0, 2.0], "high": [3.0, 8.0]}
