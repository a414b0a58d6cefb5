"""`jaxes minimize` as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from jaxes import cli

FUNCTIONS = """
import time
import numpy as np

def shifted(x):
    return float(np.sum((x - np.array([1.0, -2.0, 3.0])[: len(x)]) ** 2))

def all_at_once(x):
    return np.sum(x**2, axis=1)

def slow(x):
    time.sleep(0.01)
    return shifted(x)

def broken(x):
    raise ValueError("a value of mine")

class Model:
    @staticmethod
    def cost(x):
        return shifted(x)

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "functions_of_mine.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("functions_of_mine", None)


def call(name, *arguments):
    """Run the command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["minimize", f"functions_of_mine:{name}", *map(str, arguments)])
    return stop.value.code


def test_the_result_is_printed_and_the_folder_is_drawn(folder, capsys):
    start = ["--x0", 0, 0, "-1e-1", "--sigma", 0.5, "--seed", 3, "--verbose", 2, "--out", "found"]
    assert call("shifted", *start, "--target", 1e-6) == 0
    told = capsys.readouterr()
    assert "stop: 'target'" in told.out and "jaxes plot found" in told.err
    kept = json.loads((folder / "found/history.json").read_text())
    assert kept["stop"] == "target" and kept["fun"] <= 1e-6
    with pytest.raises(SystemExit) as stop:
        cli.main(["plot", "found"])
    assert stop.value.code == 0 and (folder / "found/optimization.png").stat().st_size > 10_000


def test_settings_reach_the_search(folder, capsys):
    bounds = ["--bounds", -5, 0.25, -5, 5, -5, 5]
    assert call("Model.cost", "--x0", 0, 0, 0, *bounds, "--integer", 1, 2, "--population-size", 20) == 0
    out = capsys.readouterr().out
    assert "x: array([ 0.25, -2.  ,  3.  ])" in out
    few = ["--budget", 100, "--restarts", 2, "--strategy", "Sep-CMA-ES", "--options", "c_c=0.5", "--verbose", 0]
    assert call("shifted", "--x0", 0, 0, "--sigma", 0.5, 2.0, *few) == 0
    assert "nfev: 96" in capsys.readouterr().out
    assert call("all_at_once", "--x0", 1, 1, "--sigma", 1, "--vectorized", "--integer", "--bounds", -4, 4) == 0
    assert "fun: 0.0\n" in capsys.readouterr().out


def test_a_search_goes_on_from_its_folder(folder, capsys):
    start = ["--x0", 0, 0, 0, "--sigma", 0.5, "--verbose", 0]
    assert call("shifted", *start, "--budget", 210) == 0
    whole = capsys.readouterr().out
    for budget in (100, 210):
        assert call("shifted", *start, "--budget", budget, "--out", "cut", "--resume") == 0
    cut = capsys.readouterr().out.split("Result(")[-1]
    same = lambda text: [line for line in text.splitlines() if "fun:" in line or " x:" in line]
    assert same(cut) == same(whole) != []


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("shifted", ["--sigma", 1], "minimize needs --x0"),
        ("shifted", ["--x0", 0, 0], "minimize needs --sigma, about a quarter"),
        ("shifted", ["--x0", 0, "--bounds", 0, "inf"], "minimize needs --sigma, about a quarter"),
        ("shiftet", ["--x0", 0, "--sigma", 1], "has no shiftet; did you mean shifted?"),
        ("number", ["--x0", 0, "--sigma", 1], "must be a function of a candidate, got 3"),
        ("shifted", ["--x0", 0, 0, "--sigma", 1, 2, 3], "sigma must be one number, or 2 as x0 has 2 numbers, got 3"),
        ("shifted", ["--x0", 0, 0, "--sigma", 1, "--bounds", 1], "bounds must be LOW HIGH, or 2 such pairs"),
        ("shifted", ["--x0", 0, 0, "--sigma", 1, "--bounds", 1, -1], "bounds must have low below high, got 1 and -1"),
        ("shifted", ["--x0", 9, 0, "--bounds", -1, 1], "x0 must lie within the bounds"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--integer", 3], "integer must hold places from 0 to 0"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--strategy", "cma"], "unknown strategy 'cma'; did you mean"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--options", "c_m=abc"], "c_m of cma_es must be a number, got 'abc'"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--restarts", "ipo"], "ipop"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--restarts", "-2"], "restarts must be None, a number of 0 or more"),
        ("", ["--x0", 0, "--sigma", 1], "minimize needs a function as MODULE:NAME"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--resume"], "--out names it"),
    ],
)
def test_what_is_refused_in_a_sentence(folder, capsys, name, arguments, message):
    assert call(name, *arguments) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told and told.startswith("jaxes: ")


@pytest.mark.parametrize(
    "text, message",
    [
        ("shifted", "minimize needs a function as MODULE:NAME"),
        ("nowhere:f", "there is no module nowhere here or among those installed"),
        ("functions_of_mine.py:shifted", "the one in that file is functions_of_mine"),
    ],
)
def test_modules_that_are_refused(folder, capsys, text, message):
    with pytest.raises(SystemExit) as stop:
        cli.main(["minimize", text, "--x0", "0", "--sigma", "1"])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_what_the_function_raises_is_its_own(folder):
    with pytest.raises(ValueError, match="a value of mine"):
        cli.main(["minimize", "functions_of_mine:broken", "--x0", "0", "--sigma", "1"])


def test_ctrl_c_prints_what_was_found_and_the_search_goes_on(folder):
    command = [sys.executable, "-m", "jaxes", "minimize", "functions_of_mine:slow", "--x0", "0", "0", "--sigma", "1"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(
        [*command, "--out", "cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    while not (folder / "cut").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "stop: 'interrupted'" in out and "Traceback" not in error
    assert json.loads((folder / "cut/history.json").read_text())["stop"] == "interrupted"
