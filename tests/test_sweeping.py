"""Sweeps: many runs in one program, each with the numbers of a run by itself."""

import json

import numpy as np
import pytest
from matplotlib import image
from toys import chase

import jaxes
from jaxes.training import Config, Sweep, sweep, sweeping

SMALL = {"population_size": 8, "hidden": (4,), "generations": 6, "evaluate_every": 3, "evaluation_episodes": 2}


@pytest.fixture(autouse=True)
def small_env(monkeypatch):
    monkeypatch.setattr(jaxes.envs, "make", lambda name: chase())


def config(**given):
    return Config("brax/inverted_pendulum", **{**SMALL, **given})


def test_each_run_of_a_sweep_is_the_run_that_training_makes(tmp_path):
    found = sweep(config(seed=5), {"sigma": (0.05, 0.3), "learning_rate": (0.02, 0.1)}, seeds=2, progress=False)
    assert found.settings == [{"sigma": sigma, "learning_rate": rate} for sigma in (0.05, 0.3) for rate in (0.02, 0.1)]
    assert found.seeds == [5, 6] and found.generations == [3, 6]
    assert found.scores.shape == (4, 2, 2)
    for i, seed in ((1, 0), (2, 1)):  # not all of them: each is compiled by itself
        alone = config(seed=5 + seed, **found.settings[i])
        reports = list(jaxes.training.train(alone, tmp_path / f"{i}", progress=False))
        evaluations = [report.evaluation for report in reports if report.evaluation is not None]
        np.testing.assert_allclose(found.scores[i, seed], evaluations, rtol=1e-4)


def test_other_numbers_and_none(tmp_path):
    found = sweep(
        config(strategy="cma_es", options=("active=false",)), {"c_m": np.array([0.5, 1.0])}, seeds=2, progress=False
    )
    assert found.labels() == ["c_m 0.5", "c_m 1"]
    assert not np.array_equal(found.scores[0], found.scores[1])
    seeds = sweep(config(), {}, seeds=np.int64(3), progress=False)
    assert seeds.labels() == ["as given"] and seeds.scores.shape == (1, 3, 2)


def test_the_command_line_prints_a_table_and_leaves_a_picture(tmp_path, capsys):
    from jaxes import cli

    small = ["--population-size", "8", "--hidden", "4", "--generations", "4", "--evaluation-episodes", "2"]
    with pytest.raises(SystemExit) as stop:
        arguments = ["brax/inverted_pendulum", "--sigma", "0.05,0.2", "--seeds", "3", "--out", str(tmp_path / "sweep")]
        cli.main(["sweep", *arguments, *small])
    assert stop.value.code == 0
    told = capsys.readouterr()
    head, *rows, foot = told.out.splitlines()
    assert head.split() == ["setting", "mean", "std", "worst", "best"]
    assert [row[2:12] for row in rows] == ["sigma 0.05", "sigma 0.2 "]
    assert sum(row.startswith("*") for row in rows) == 1
    assert foot == "  scores of 3 seeds after 4 generations; std between seeds, by n - 1"
    assert image.imread(tmp_path / "sweep/sweep.png").shape[:2] == (600, 1200)
    kept = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert kept["generations"] == [1, 2, 3, 4]  # too few for the usual interval of 10
    assert np.mean(kept["scores"][0], axis=0)[-1] == pytest.approx(float(rows[0].split()[-4]), rel=1e-3)
    std = np.std(kept["scores"], axis=1, ddof=1)[:, -1]
    assert [float(row.split()[-3]) for row in rows] == pytest.approx(std.tolist(), rel=5e-3)
    assert kept["config"]["env"] == "brax/inverted_pendulum" and kept["versions"]["jaxes"] == jaxes.__version__
    with pytest.raises(SystemExit):
        cli.main(["plot", str(tmp_path / "sweep"), "--out", str(tmp_path / "again.png")])
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "sweep/sweep.png").read_bytes()
    with pytest.raises(FileExistsError, match=r"holds a sweep\.json already"):
        sweep(config(), {"sigma": (0.1,)}, out=tmp_path / "sweep", progress=False)


@pytest.mark.parametrize("command", [["evaluate"], ["render"], ["train", "--resume"]])
def test_the_folder_of_a_sweep_holds_no_policy(command, tmp_path, capsys):
    from jaxes import cli

    best = {"learning_rate": 0.1, "c_m": 0.5, "c_sigma": 0.0123456789}
    found = Sweep([{**best, "c_m": 1.0}, best], [0], [5], np.array([[[1.0]], [[2.0]]]))
    sweeping.save(found, config(strategy="cma_es"), tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"jaxes: {tmp_path} is the folder of a sweep (sweep.json): it keeps scores and no policies; train with its "
        "best setting: jaxes train brax/inverted_pendulum --strategy cma_es --learning-rate 0.1 "
        "--options c_m=0.5 c_sigma=0.0123456789\n"
    )
    with pytest.raises(ValueError, match="is the folder of a sweep"):
        jaxes.load(tmp_path)


def test_one_seed_has_no_deviation():
    _, row, foot = sweeping.table(Sweep([{"sigma": 0.1}], [0], [7], np.array([[[3.0]]])))
    assert row.split() == ["*", "sigma", "0.1", "3", "-", "3", "3"] and foot == "  scores of 1 seed after 7 generations"


def test_the_best_setting_is_that_with_the_highest_mean_in_the_end():
    scores = np.array([[[9.0, 1.0], [9.0, 3.0]], [[0.0, 2.0], [0.0, 3.0]], [[0.0, 0.0], [0.0, 4.0]]])
    found = Sweep([{"sigma": s} for s in (0.1, 0.2, 0.3)], [0, 1], [5, 10], scores)
    assert found.best() == 1
    assert sweeping.table(found)[2].split() == ["*", "sigma", "0.2", "2.5", "0.707", "2", "3"]


@pytest.mark.parametrize(
    ("given", "numbers", "message"),
    [
        ({}, {"sigma": (0.1, -1.0)}, "sigma must be above 0, got -1"),
        ({}, {"sigma": ()}, r"sigma must be values to try, such as \(0.02, 0.05\), got \(\)"),
        ({}, {"sigma": 0.1}, "sigma must be values to try"),
        ({}, {"sigma": "0.1,0.2"}, "sigma must be values to try"),
        ({}, {"sigma": (0.1, float("nan"))}, "sigma must be a number that is finite, got nan"),
        ({}, {"sigma": (0.1, 0.1)}, "sigma must have each value once"),
        ({}, {"inertia": (0.1, 0.2)}, "'open_es' has no options"),
        ({"strategy": "cem"}, {"elite_fraction": (0.1, 0.2)}, "only numbers of a state can be swept.*elite_fraction"),
        ({"steps": 9}, {"sigma": (0.1,)}, "a sweep stops after generations or seconds"),
        ({"devices": 2}, {"sigma": (0.1,)}, "one program on one device, which has no devices, got 2"),
        ({"track": "wandb"}, {"sigma": (0.1,)}, "one program on one device, which has no track, got 'wandb'"),
        ({"strict": True}, {"sigma": (0.1,)}, "which has no strict mode"),
        ({"generations": -1}, {"sigma": (0.1,)}, "generations must be an int of 1 or more, got -1"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_any_work(given, numbers, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        sweep(config(**given), numbers, out=tmp_path / "sweep", progress=False)
    assert not (tmp_path / "sweep").exists()


def test_environments_on_cpus_are_refused(monkeypatch):
    monkeypatch.undo()
    pytest.importorskip("gymnasium")
    with pytest.raises(ValueError, match=r"gymnasium/CartPole-v1 runs on CPUs .* train each setting by itself"):
        sweep(Config("gymnasium/CartPole-v1", generations=1), {"sigma": (0.1, 0.2)}, progress=False)
