"""How a training run is left: at once, without an abort, whatever is compiled or traced at that moment."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxes.training.interruption import Interruption

LONG = """
import sys, jax, jaxes, jax.numpy as jnp

def slowly(x):  # takes a minute to compile
    for i in range(800):
        x = jnp.sort(jnp.sin(x) * i)[::-1] + jnp.cumsum(x)
    return jnp.sum(x)

def for_ever(x):  # is traced for ever
    while True:
        y = jnp.sin(x)

def fails(*_):
    raise RuntimeError("mine")

def fit(objective, **options):
    print("begun", flush=True)
    for report in jaxes.fit(jaxes.open_es(4), objective, jnp.ones(64), key=jax.random.key(0), generations=1, **options):
        print(report.generation, flush=True)

"""


def program(last_line):
    command = [sys.executable, "-c", LONG + last_line]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while process.stdout.readline() != "begun\n":
        assert process.poll() is None
    return process


def ended(process, within=20):
    """Its exit code and what it wrote; Python itself takes a second to end, longer on a busy machine."""
    try:
        _, error = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert "FATAL" not in error and "terminate called" not in error, error
    return process.returncode, error


def test_the_error_of_an_evaluation_is_told_while_the_generation_is_compiled():
    code, error = ended(program("fit(slowly, evaluate=fails)"))
    assert code == 1
    assert "RuntimeError: mine" in error


def test_the_caller_may_catch_it_and_leave_when_the_compiler_is_done():
    quick = "fit(lambda x: jnp.sum(jnp.sort(jnp.sin(jnp.sort(x)))), evaluate=fails)"
    caught = f"try:\n    {quick}\nexcept RuntimeError as error:\n    print(error)\nsys.exit(7)"
    code, error = ended(program(caught), 120)
    assert code == 7, error


@pytest.mark.parametrize(("objective", "seconds"), [("slowly", 6), ("for_ever", 2)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_is_traced_or_compiled(objective, seconds, number):
    process = program(f"fit({objective})")
    time.sleep(seconds)
    assert process.poll() is None
    process.send_signal(number)
    code, error = ended(process)
    assert code != 0 and "Interrupted: interrupted at generation 0" in error


def test_ctrl_c_is_answered_in_the_command_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "jaxes.cli",
        "train",
        "brax/ant",
        "--seconds",
        "60",
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (tmp_path / "run/config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)  # it is traced now
    process.send_signal(signal.SIGINT)
    code, error = ended(process)
    assert code == 130, error
    assert error.splitlines()[-1] == (
        f"Stopped before the first generation. Go on with: jaxes train --resume {tmp_path / 'run'}"
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_is_not_lost_in_a_destructor():
    """Python prints and ignores what a destructor raises; the signal is said again a little later."""

    class Busy:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Interruption(at_once=True) as interruption:
        Busy()
        assert interruption.received == signal.SIGINT
        time.sleep(20)
    assert time.monotonic() - began < 10
