"""The command line as a user calls it."""

import json
import os
import shutil
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
    command = [sys.executable, "-m", "jaxes", *map(str, arguments)]
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
    other = shutil.copytree(run, tmp_path / "other")
    assert call("plot", run, other) == 0
    pictures = [run / "reward.png", other / "reward.png"]
    before = [path.read_bytes() for path in pictures]
    capsys.readouterr()
    assert call("plot", run, other, "--x", "seconds", "--out", tmp_path / "both.png") == 0
    assert capsys.readouterr().out.split() == [*map(str, pictures), str(tmp_path / "both.png")]
    assert [path.read_bytes() for path in pictures] == before  # --x is the comparison's
    assert call("plot", run, run / ".", "--x", "seconds", "--out", tmp_path / "one.png") == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "one.png")]
    assert (tmp_path / "one.png").read_bytes() != before[0]


def test_plot_takes_what_a_pattern_finds(run, tmp_path, capsys):
    for name in ("one", "other"):
        shutil.copytree(run, tmp_path / name)
    (tmp_path / "empty").mkdir()
    for _ in range(2):  # the second time compare.png is among them
        assert call("plot", *sorted(tmp_path.iterdir())) == 0
        told = capsys.readouterr()
        pictures = [tmp_path / name for name in ("one/reward.png", "other/reward.png", "compare.png")]
        assert told.out.split() == list(map(str, pictures))
        assert f"{tmp_path / 'empty'} holds no run to plot" in told.err


def test_the_picture_of_one_run_goes_where_it_is_wanted(run, tmp_path, capsys):
    assert call("plot", run, "--x", "seconds", "--out", tmp_path / "mine.png") == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "mine.png")]
    assert (tmp_path / "mine.png").exists()


def test_the_version_is_told(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"jaxes {jaxes.__version__}\n"


def test_the_help_says_what_stands_for_what_is_not_given(capsys):
    assert call("train", "--help") == 0
    told = capsys.readouterr().out
    assert "None" not in told
    assert "the preset's, usually" in told


@pytest.mark.parametrize("arguments", [["envs"], ["strategies"], ["train", "--help"]])
def test_nobody_has_to_read_to_the_end(arguments):
    process = start(*arguments)
    process.stdout.read(40)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == ("", 0)
    process.stderr.close()


def test_some_envs_and_one_strategy(capsys):
    assert call("envs", "brax/") == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows and all(row.startswith("brax/") for row in rows)
    assert call("strategies", "CMA-ES") == 0
    told = capsys.readouterr().out
    assert told.startswith("cma_es\n") and "arXiv:1604.00772" in told
    assert "    active               true      whether the worse half takes variance away" in told


def test_resuming_is_quiet_about_its_checkpoint(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    process = start("train", "--resume", tmp_path / "run", "--generations", 30, "--no-video")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "WARNING" not in error and "absl" not in error


def test_the_folder_of_fit_is_understood_as_far_as_possible(tmp_path, capsys):
    env, folder = chase(), tmp_path / "fit"
    policy = jaxes.rl.mlp(env, hidden=(4,))
    problem, params = jaxes.rl.rollout(env, policy), policy.init(jax.random.key(1))
    options = {"key": jax.random.key(0), "progress": False, "out": folder, "settings": {"env": "toys/chase", "lr": 0.1}}
    (*_, last) = jaxes.fit(jaxes.open_es(8), problem, params, generations=3, **options)
    assert json.loads((folder / "config.json").read_text())["settings"] == {"env": "toys/chase", "lr": 0.1}
    loaded = jaxes.load(folder, env=env, policy=policy)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(loaded.params), jax.tree.leaves(last.params)))
    assert loaded.normalizer.count == last.problem_state.normalizer.count
    assert loaded.evaluate(jax.random.key(2), 3).returns.shape == (3,)
    assert call("plot", folder) == 0
    for arguments in (["evaluate", folder], ["render", folder], ["train", "--resume", folder, "--generations", 9]):
        assert call(*arguments) == 2
        assert "was written by jaxes.fit from Python objects" in capsys.readouterr().err
    options.pop("settings")
    (*_, last) = jaxes.fit(jaxes.open_es(8), problem, params, generations=5, resume=True, **options)
    assert last.generation == 5
    assert json.loads((folder / "config.json").read_text())["settings"] == {"env": "toys/chase", "lr": 0.1}
    with pytest.raises(ValueError, match=r"jaxes.load\('.*fit', env=env, policy=policy\)"):
        jaxes.load(folder)
    with pytest.raises(ValueError, match=r"another policy than was given: .* is \[4\], wanted \[5\]"):
        jaxes.load(folder, env=env, policy=jaxes.rl.mlp(env, hidden=(5,)))


def test_the_folder_of_train_goes_on_by_fit_and_remains_one_of_train(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    config = jaxes.training.config.load(run / "config.json")
    parts, key = jaxes.training.build(config), jax.random.key(config.seed)
    params = parts.policy.init(keys.stream(key, keys.Stream.PARAMETERS))
    options = {"key": key, "progress": False, "out": tmp_path / "run", "resume": True, "generations": 40}
    (*_, last) = jaxes.fit(parts.strategy, parts.problem, params, **options)
    assert last.generation == 40
    assert call("evaluate", tmp_path / "run", "--episodes", 2) == 0
    assert call("train", "--resume", tmp_path / "run", "--generations", 41, "--no-video") == 0


def test_the_target_of_a_preset_is_announced(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jaxes.envs, "make", lambda name: chase())
    monkeypatch.setitem(jaxes.training.presets.PRESETS, "brax/ant", {"target": -1e9, "generations": 20})
    assert call("train", "brax/ant", *TINY, "--out", tmp_path / "run") == 0
    told = capsys.readouterr().err
    assert "brax/ant: ends at a score of -1e+09 on fresh episodes, the preset's target; --target none goes on" in told
    assert "target reached at generation 4" in told
    score = metrics.read(tmp_path / "run")[-1]["confirmation"]
    assert call("train", "--resume", tmp_path / "run") == 2
    told = capsys.readouterr().err
    assert f"run has reached its target of -1e+09 ({score:.4g} on fresh episodes): give a higher one, or" in told
    assert call("train", "--resume", tmp_path / "run", "--target", -2e9, "--no-video") == 2
    assert "has reached its target of -2e+09" in capsys.readouterr().err
    assert metrics.read(tmp_path / "run")[-1]["generation"] == 4
    assert call("train", "--resume", tmp_path / "run", "--target", "none", "--no-video") == 0
    assert metrics.read(tmp_path / "run")[-1]["generation"] == 20
    assert call("train", "brax/ant", *TINY, "--target", "none", "--out", tmp_path / "other") == 0
    assert metrics.read(tmp_path / "other")[-1]["generation"] == 20
    assert "no target" not in capsys.readouterr().err
    assert call("train", "brax/ant", *TINY, "--generations", 1, "--no-video", "--out", tmp_path / "limited") == 0
    assert "brax/ant: no target, since a limit is given; --target -1e+09 is the preset's\n" in capsys.readouterr().err


OWN = """
import jax, jax.numpy as jnp, numpy as np
from jaxes.envs import Box, Env, EnvState

def point(max_steps=10):
    reset = lambda key: EnvState(jnp.zeros(()), jnp.zeros(1), jnp.float32(0), jnp.bool_(False))
    def step(state, action):
        x = state.physics + action[0]
        return EnvState(x, x[None], -jnp.abs(x - 3), jnp.bool_(False))
    limit = np.ones(1, np.float32)
    return Env("own/point", reset, step, jax.ShapeDtypeStruct((1,), jnp.float32), Box(-limit, limit), max_steps)
"""


def test_an_environment_of_ones_own_is_trained_evaluated_and_resumed(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_own_envs.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert call("train", "my_own_envs:point", *TINY, "--generations", 2) == 0
    assert (tmp_path / "runs/my_own_envs-point-open_es-0/policy.msgpack").exists()
    assert call("train", "--resume", "runs/my_own_envs-point-open_es-0", "--generations", 3, "--no-video") == 0
    capsys.readouterr()
    assert call("evaluate", "runs/my_own_envs-point-open_es-0", "--episodes", 2) == 0
    assert "of 10 steps, 100% to the end" in capsys.readouterr().out
    assert call("train", "my_own_envs:pint", *TINY) == 2
    assert call("train", "my_lost_envs:point", *TINY) == 2


def test_envs_and_strategies_are_listed(capsys):
    assert call("envs") == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert set(rows) - {"the"} == {"environment", *jaxes.envs.names()}  # the extra NAME: how to install it
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
        (["train", "brax/hopper", "--strategy", "open_ess"], "unknown strategy 'open_ess'; did you mean open_es"),
        (["train", "brax/hopper", "--population-size", "7"], "must be even with antithetic pairs, got 7"),
        (["train", "brax/hopper", "--head", "bin"], "head must be"),
        (["train", "--resume", "nowhere"], "nowhere holds no run to resume: there is no such folder"),
        (["evaluate", "nowhere"], "nowhere holds no trained policy: there is no such folder"),
        (["plot", "nowhere"], "nowhere holds no run to plot: there is no such folder"),
        (["train", "brax/ant", "--track", "tensorboard"], "track needs no 'tensorboard': its events are always in"),
        (["envs", "nosuch"], "suites: ale, brax, envpool, gymnasium, gymnax, jaxes, mujoco, playground"),
        (["plot"], "plot needs folders of runs, such as runs/*"),
        (["plot", "nowhere", "--x", "time"], "x must be 'steps', 'seconds' or 'generation', got 'time'"),
        (["train", "zork"], "unknown environment 'zork'; known: ale/Alien-v5, "),
        (["envs", "zzz"], "unknown environment 'zzz'; "),
        (["strategies", "cma"], "unknown strategy 'cma'; did you mean cma_es"),
        (["evaluate", "nowhere", "--episodes", "0"], "episodes must be an int of 1 or more, got 0"),
        (["evaluate", "nowhere", "--seed", "-1"], "seed must be an int from 0 to 4294967295, got -1"),
        (
            ["train", "brax/ant", "--strategy", "cma_es", "--options", "c_m=x"],
            "c_m of cma_es must be a number, got 'x'",
        ),
        (["train", "brax/ant", "--generations", "-3"], "generations must be an int of 1 or more, got -3"),
        (["bench", "corectness"], "unknown benchmark 'corectness'; did you mean correctness"),
        (["bench", "nope"], "unknown benchmark 'nope'; known: ant, bbob, "),
        (["trian", "brax/hopper"], "unknown command 'trian'; did you mean train"),
        (
            ["list"],
            "unknown command 'list'; known: train, sweep, minimize, evaluate, plot, render, bench, envs, strategies",
        ),
        (
            ["train", "gymnax/CartPole-v1", "--backend", "mjx"],
            "backend is the physics of brax/*; gymnax/CartPole-v1 has",
        ),
    ],
)
def test_bad_input_gets_one_line_and_leaves_no_files(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_told_and_runs_in_a_folder_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jaxes.envs, "make", lambda name: chase())
    for told in ("", "runs/brax-ant-open_es-0 is there already, so this goes to runs/brax-ant-open_es-0-2; --resume "):
        assert call("train", "brax/ant", *TINY, "--generations", 1) == 0
        err = capsys.readouterr().err
        assert told in err and ("already" in err) == bool(told)
    assert call("evaluate", "runs") == 2
    inside = "it has no config.json; runs in it: runs/brax-ant-open_es-0, runs/brax-ant-open_es-0-2\n"
    assert capsys.readouterr().err == f"jaxes: runs holds no trained policy: {inside}"
    with pytest.raises(FileNotFoundError, match="runs in it: runs/brax-ant-open_es-0, "):
        jaxes.load("runs")
    assert call("plot", "runs/brax-ant-open_es-0", "runs/brax-ant-open_es-0-2") == 0
    assert capsys.readouterr().out.split()[-1] == "runs/compare.png"


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


KILLED = ["brax/inverted_pendulum", *TINY, "--generations", 2500]  # takes about 40 seconds


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
