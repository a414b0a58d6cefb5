"""Pictures of runs."""

import json

import pytest
from matplotlib import image

from jaxes.training import plots


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    rows = [
        {
            "generation": g,
            "steps": 10 * g,
            "seconds": 0.1 * g,
            "best": 2.0 * g,
            "mean": g if g != 5 else None,
            "elites": 3,
        }
        | {"evaluation": 1.5 * g if g % 4 == 0 else None, "evaluation_std": 0.5 if g % 4 == 0 else None}
        for g in range(1, 21)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_reward_draws_a_picture_beside_the_metrics(run):
    path = plots.reward(run)
    assert path == run / "reward.png"
    assert image.imread(path).shape[:2] == (780, 1200)
    assert not list(run.glob(".*tmp"))


def test_compare_draws_several_runs(run, tmp_path):
    assert image.imread(plots.compare([run, run], tmp_path / "both.png", x="seconds")).shape[:2] == (576, 900)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run to plot"):
        plots.reward(tmp_path)
