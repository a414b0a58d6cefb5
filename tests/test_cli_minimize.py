"""`jaxes minimize` as a user calls it."""

import ast
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
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

def helper(x):
    return np.linalg.norm(x, ord="nothing")

def broken(x, calls=[]):
    calls.append(x)
    if len(calls) > 40:
        try:
            helper(x)
        except ValueError as error:
            raise KeyError("a key of mine") from error
    return shifted(x)

def broken_at_once(x):
    return 1 / 0

def forgetful(x, calls=[]):
    calls.append(x)
    return shifted(x) if len(calls) <= 40 else None

def deadly(x):
    import os
    os._exit(3)

def at_least_two(x):
    return 2 - x[0]

def at_most_minus_three(x):
    return [x[1] + 3]

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


def point(out):
    """The numbers of the last line that tells a point."""
    return ast.literal_eval([line for line in out.splitlines() if line.startswith("x = ")][-1][4:])


def call(name, *arguments):
    """Run the command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["minimize", f"functions_of_mine:{name}", *map(str, arguments)])
    return stop.value.code


def test_the_result_is_printed_and_the_folder_is_drawn(folder, capsys):
    start = ["--x0", 0, 0, "-1e-1", "--sigma", 0.5, "--seed", 3, "--verbose", 2, "--out", "found"]
    assert call("shifted", *start, "--target", 1e-6) == 0
    told = capsys.readouterr()
    assert "stop: 'target'" in told.out and "found: the search, for --resume" in told.err
    assert "jaxes plot found" in told.err and told.out.split()[0] == "nfev"
    kept = json.loads((folder / "found/history.json").read_text())
    assert kept["stop"] == "target" and kept["fun"] <= 1e-6
    assert kept["fun"] == float(np.sum((np.array(point(told.out)) - [1, -2, 3]) ** 2))  # all digits
    with pytest.raises(SystemExit) as stop:
        cli.main(["plot", "found"])
    assert stop.value.code == 0 and (folder / "found/optimization.png").stat().st_size > 10_000


def test_settings_reach_the_search(folder, capsys):
    bounds = ["--bounds", -5, 0.25, -5, 5, -5, 5]
    assert call("Model.cost", "--x0", 0, 0, 0, *bounds, "--integer", 1, 2, "--population-size", 20) == 0
    assert point(capsys.readouterr().out) == pytest.approx([0.25, -2, 3], abs=1e-6)
    few = ["--budget", 100, "--restarts", 2, "--strategy", "Sep-CMA-ES", "--options", "c_c=0.5", "--verbose", 0]
    assert call("shifted", "--x0", 0, 0, "--sigma", 0.5, 2.0, *few) == 0
    assert "nfev: 96" in capsys.readouterr().out
    assert call("slow", "--x0", 0, 0, "--sigma", 1, "--seconds", 0.1) == 0
    assert "stop: 'seconds'" in capsys.readouterr().out
    assert call("all_at_once", "--x0", 1, 1, "--sigma", 1, "--vectorized", "--integer", "--bounds", -4, 4) == 0
    assert "fun: 0.0\n" in capsys.readouterr().out


def test_a_search_goes_on_from_its_folder(folder, capsys):
    start = ["--x0", 0, 0, 0, "--sigma", 0.5, "--verbose", 0]
    assert call("shifted", *start, "--budget", 210) == 0
    whole = capsys.readouterr().out
    for budget in (100, 210):
        assert call("shifted", *start, "--budget", budget, "--out", "cut", "--resume") == 0
    cut = capsys.readouterr().out.split("Result(")[-1]
    assert call("shifted", *start, "--out", "cut") == 2
    assert "go on with it by --resume" in capsys.readouterr().err
    same = lambda text: [line for line in text.splitlines() if "fun:" in line or "x = " in line]
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
        ("shifted", ["--x0", 0, "a", "--sigma", 1], "x0 must be numbers with spaces between them"),
        ("shifted", ["--x0", 0, "--sigma", "1;2"], "--sigma 0 1 2, got '1;2'"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--integer", 0.5], "integer must be whole numbers"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--budget", 60.5], "budget must be a whole number"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--constraints", "limits"], "constraints must be functions as MODULE"),
        ("shifted", ["--x0", 0, "--sigma", 1, "--constraints", "functions_of_mine:limits"], "has no limits"),
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


@pytest.mark.parametrize("workers", [[], ["--workers", 1]], ids=["here", "in a worker"])
def test_what_the_function_raises_is_told_with_its_frames_and_what_was_found(folder, capsys, workers):
    assert call("broken", "--x0", 0, 0, "--sigma", 1, *workers, "--out", "cut") == 1
    told = capsys.readouterr()
    files = [line.split('"')[1] for line in told.err.splitlines() if line.startswith("  File")]
    assert [file for file in files if "numpy" not in file] == [str(folder / "functions_of_mine.py")] * 3
    assert "in helper" in told.err and "KeyError: 'a key of mine'\n" in told.err
    assert "the search has failed; until then it had found" in told.err and "--resume" in told.err
    assert "nfev: 4" in told.out and len(point(told.out)) == 2
    assert call("broken_at_once", "--x0", 0, "--sigma", 1, *workers) == 1
    told = capsys.readouterr()
    assert told.err.count("  File") == 1 and told.err.endswith("ZeroDivisionError: division by zero\n") and not told.out


def test_what_a_module_raises_is_told_with_its_frames(folder, capsys):
    (folder / "functions_of_mine.py").write_text("import nowhere_at_all")
    assert call("shifted", "--x0", 0, "--sigma", 1) == 1
    told = capsys.readouterr().err
    assert told.count("  File") == 1 and "No module named 'nowhere_at_all'" in told


def test_a_wrong_value_is_told_in_a_sentence_with_what_was_found(folder, capsys):
    assert call("forgetful", "--x0", 0, 0, "--sigma", 1) == 2
    told = capsys.readouterr()
    assert "nfev: 40" in told.out and len(point(told.out)) == 2
    assert told.err.splitlines()[-1].startswith("jaxes: f must return one real number, got None")
    assert call("deadly", "--x0", 0, "--sigma", 1, "--workers", 1) == 1
    assert capsys.readouterr().err.startswith("jaxes: f has ended 3 worker processes")


def test_the_whole_traceback_is_there_for_those_who_want_it(folder, monkeypatch):
    monkeypatch.setenv("JAXES_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["minimize", "functions_of_mine:broken_at_once", "--x0", "0", "--sigma", "1"])


@pytest.mark.parametrize("x0", [["0,0,-1e-1"], ["0,", "0,", "-.1"], ["[0.0,", "0,", "-0.1]"]], ids=str)
def test_commas_may_stand_between_numbers(folder, capsys, x0):
    bounds = ["--bounds", "-5,0.5,-inf,inf", "-5,5", "--integer", "1,2"]
    assert call("shifted", "--x0", *x0, "--sigma", "1,1,1", *bounds, "--budget", "1e4") == 0
    assert point(capsys.readouterr().out) == pytest.approx([0.5, -2, 3], abs=1e-6)


def test_bounds_of_two_coordinates_are_pairs(folder, capsys):
    assert call("shifted", "--x0", 0.5, 0, "--bounds", 0.25, 5, -1, 1) == 0
    assert point(capsys.readouterr().out) == pytest.approx([1, -1], abs=1e-4)


def test_constraints(folder, capsys):
    names = [f"functions_of_mine:{name}" for name in ("at_least_two", "at_most_minus_three")]
    assert call("shifted", "--x0", 0, 0, "--sigma", 1, "--constraints", *names) == 0
    assert point(capsys.readouterr().out) == pytest.approx([2, -3], abs=1e-4)


def test_what_is_no_argument_leads_to_the_help_of_the_command(folder, capsys):
    for arguments in (["--bugdet", 3], ["--budget", "x"], ["more"]):
        assert call("shifted", *arguments) == 2
        assert "jaxes minimize --help" in capsys.readouterr().err


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
