"""The command line as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from toys import chase

import jaxes
from jaxes import cli
from jaxes.support import keys
from jaxes.training import metrics
from jaxes.training.checkpoint import Checkpoints

TINY = ["--no-video", "--population-size", "8", "--hidden", "4", "--max-steps", "20", "--check-every", "20"]
TINY += ["--evaluate-every", "4", "--evaluation-episodes", "2"]


def call(*arguments):
    """Run the command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(a) for a in arguments])
    return stop.value.code


def start(*arguments):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "jaxes.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert call("train", "brax/inverted_pendulum", *TINY, "--generations", 6, "--out", folder) == 0
    return folder


def test_train_leaves_a_complete_folder(run):
    names = {path.name.split(".")[0] for path in run.iterdir()}
    assert names == {"config", "metrics", "checkpoints", "reward", "events", "policy"}
    config = json.loads((run / "config.json").read_text())
    assert config["env"] == "brax/inverted_pendulum"
    assert config["population_size"] == 8
    rows = metrics.read(run)
    assert rows[-1]["generation"] == 6
    assert [row["generation"] for row in rows if row["evaluation"] is not None] == [4, 6]
    assert rows[-1]["episodes"] == 48
    assert 0 < rows[-1]["utilization"] <= 1 and 0 <= rows[-1]["truncated_share"] <= 1
    assert 0 < rows[-1]["episode_length"] <= 20


def test_resume_goes_on_to_a_new_limit(run, capsys):
    assert call("train", "--resume", run) == 2
    assert "has reached its limit of 6 generations" in capsys.readouterr().err
    assert call("train", "--resume", run, "--generations", 8, "--no-video") == 0
    assert metrics.read(run)[-1]["generation"] == 8


def test_resume_keeps_its_settings(run, capsys):
    assert call("train", "--resume", run, "--sigma", 0.3) == 2
    assert "a resumed run keeps its settings" in capsys.readouterr().err
    assert call("train", "brax/ant", "--resume", run) == 2
    assert "got brax/ant" in capsys.readouterr().err


def test_evaluate_prints_the_score(run, capsys):
    assert call("evaluate", run, "--episodes", 3) == 0
    score = capsys.readouterr().out.splitlines()[0].split()
    assert score[0] == "score"
    assert 0 < float(score[1]) <= 1000


def test_the_policy_is_loaded_in_two_lines(run):
    policy = jaxes.load(run)
    action = policy(np.zeros(4, np.float32))
    assert action.shape == (1,)
    assert np.abs(action) <= 1
    assert float(policy.normalizer.count) > 48


@pytest.mark.parametrize(
    "options",
    [
        ["--virtual-batch-norm", "--initialization", "normc", "--last-scale", 1, "--seed", 3],
        ["--network", "gru", "--head", "bins:-1,0,1"],
    ],
)
def test_any_policy_is_restored(options, tmp_path, monkeypatch):
    """The loaded one scores what the run's last evaluation did, statistics of its reference batch included."""
    monkeypatch.setattr(jaxes.envs, "make", lambda name: chase())
    settings = ["brax/inverted_pendulum", *TINY, "--generations", 2, "--action-noise", 0.1]
    assert call("train", *settings, *options, "--out", tmp_path / "run") == 0
    policy = jaxes.load(tmp_path / "run")
    assert policy.policy.random and (policy.normalizer is None) == ("--seed" in options)
    key = keys.stream(jax.random.key(3 if "--seed" in options else 0), keys.Stream.EVALUATION)
    score = float(np.mean(policy.evaluate(key, 2).returns))
    assert score == metrics.read(tmp_path / "run")[-1]["evaluation"]
    assert policy(np.float32([0.1, 0.2])).shape == (1,)


def test_plot_draws_again_and_compares(run, tmp_path, capsys):
    (run / "reward.png").unlink()
    assert call("plot", run, run, "--out", tmp_path / "both.png") == 0
    assert capsys.readouterr().out.split() == [str(run / "reward.png")] * 2 + [str(tmp_path / "both.png")]
    assert (run / "reward.png").exists()
    assert (tmp_path / "both.png").exists()


def test_envs_and_strategies_are_listed(capsys):
    assert call("envs") == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert set(rows) == {"environment", *jaxes.envs.names()}
    assert rows["brax/hopper"] == ["11", "3", "1000"]
    assert rows["gymnax/CartPole-v1"][:4] == ["4", "2", "choices", "500"]
    assert call("strategies") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in jaxes.STRATEGIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "train needs an environment"),
        (["train", "brax/hoper"], "unknown environment 'brax/hoper'; did you mean brax/hopper"),
        (["train", "brax/hopper", "--strategy", "openes"], "unknown strategy 'openes'; did you mean open_es"),
        (["train", "brax/hopper", "--population-size", "7"], "must be even with antithetic pairs, got 7"),
        (["train", "brax/hopper", "--head", "bin"], "head must be"),
        (["train", "--resume", "nowhere"], "nowhere holds no run to resume"),
        (["evaluate", "nowhere"], "nowhere holds no trained policy"),
        (["plot", "nowhere"], "nowhere holds no run to plot"),
        (["bench", "corectness"], "unknown benchmark 'corectness'; did you mean correctness"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_no_files(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_training_into_a_run_is_refused(run, capsys):
    before = (run / "config.json").read_text()
    assert call("train", "brax/inverted_pendulum", "--out", run) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (run / "config.json").read_text() == before


def test_ctrl_c_saves_and_the_resumed_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    pytest.importorskip("gymnax")  # its programs are compiled in a second
    settings = ["gymnax/CartPole-v1", *TINY, "--generations", 20_000]
    process = start("train", *settings, "--out", tmp_path / "cut")
    deadline = time.monotonic() + 300
    while len(metrics.read(tmp_path / "cut")) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == f"Saved. Go on with: jaxes train --resume {tmp_path / 'cut'}"
    at = metrics.read(tmp_path / "cut")[-1]["generation"]
    assert 0 < at < 20_000
    end = str(at + 7)
    assert call("train", "--resume", tmp_path / "cut", "--generations", end, "--no-video") == 0
    settings[-1] = end
    assert call("train", *settings, "--out", tmp_path / "whole") == 0
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


KILLED = ["brax/inverted_pendulum", *TINY, "--generations", 6000]  # takes a minute


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert call("train", *KILLED, "--out", folder) == 0
    return digest(folder)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, 5, 10, 20, 40])
def test_killed_at_any_moment_the_run_ends_with_the_bits_of_an_undisturbed_one(undisturbed, seconds, tmp_path):
    process = start("train", *KILLED, "--out", tmp_path / "cut")
    time.sleep(seconds)
    process.kill()
    process.communicate()
    begun = (tmp_path / "cut/config.json").exists()  # after 2 seconds Python may be importing still
    again = ["--resume", tmp_path / "cut"] if begun else [*KILLED, "--out", tmp_path / "cut"]
    process = start("train", *again, "--no-video")
    _, error = process.communicate(timeout=600)
    assert process.returncode == 0 or "has reached its limit" in error, error
    assert digest(tmp_path / "cut") == undisturbed


def digest(folder: Path):
    """The bytes of all that the newest checkpoint holds, but the seconds."""
    config = jaxes.training.config.load(folder / "config.json")
    parts = jaxes.training.build(config)
    key = jax.random.key(config.seed)
    like = {
        "state": parts.strategy.init(key, parts.policy.init(key)),
        "problem_state": parts.problem.init(key),
        "seconds": np.float32(0),
    }
    tree = Checkpoints(folder / "checkpoints").load(like)
    del tree["seconds"]
    keys = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return [np.asarray(keys(x)).tobytes() for x in jax.tree.leaves(tree)]


def test_the_environment_variable_shows_the_traceback(monkeypatch):
    monkeypatch.setitem(os.environ, "JAXES_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown environment"):
        cli.main(["train", "brax/hoper"])
