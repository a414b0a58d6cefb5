"""How a training run is left: at once, without an abort, whatever is compiled or traced at that moment."""

import gc
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
    print("begun", flush=True)
    for i in range(800):
        x = jnp.sort(jnp.sin(x) * i)[::-1] + jnp.cumsum(x)
    return jnp.sum(x)

def quickly(x):
    print("begun", flush=True)
    return jnp.sum(jnp.sort(jnp.sin(jnp.sort(x))))

def for_ever(x):  # is traced for ever
    print("begun", flush=True)
    while True:
        y = jnp.sin(x)

def computes_long(x):  # for minutes
    print("begun", flush=True)
    return jax.lax.fori_loop(0, 10**9, lambda _, x: jnp.sin(x), jnp.sum(x))

def fails(*_):
    raise RuntimeError("mine")

def fit(objective, **options):
    for report in jaxes.fit(jaxes.open_es(4), objective, jnp.ones(64), key=jax.random.key(0), generations=1, **options):
        print(report.generation, flush=True)

"""


def program(last_line, *arguments):
    command = [sys.executable, "-c", LONG + last_line, *map(str, arguments)]
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
    quick = "fit(quickly, evaluate=fails)"
    caught = f"try:\n    {quick}\nexcept RuntimeError as error:\n    print(error)\nsys.exit(7)"
    code, error = ended(program(caught), 120)
    assert code == 7, error


@pytest.mark.parametrize(("objective", "seconds"), [("slowly", 5), ("for_ever", 1), ("computes_long", 5)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_is_traced_compiled_or_in_its_first_generation(objective, seconds, number):
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
    assert time.monotonic() - began < 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_the_garbage_collector_drops_ends_short_work_too(capsys):
    """JAX has a callback in the collector, where most of a short start's signals arrive."""
    pressed, before = [], signal.getsignal(signal.SIGINT)

    def press(phase, info):
        if not pressed:
            pressed.append(phase)
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))  # a bytecode, so that the handler runs here

    gc.callbacks.append(press)
    try:
        with pytest.raises(KeyboardInterrupt), Interruption(at_once=True) as interruption:
            gc.collect()
    finally:
        gc.callbacks.remove(press)
    assert pressed and interruption.received == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_noted_does_not_raise_and_other_errors_of_destructors_are_told(capsys, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))

    class Fails:
        def __del__(self):
            raise ZeroDivisionError

    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        Fails()
    assert interruption.received == signal.SIGINT
    assert told == [ZeroDivisionError]


def test_workers_do_not_hear_of_ctrl_c_from_their_first_instruction_on():
    """Ctrl-C goes to all processes of a terminal; they say nothing, and end when the parent's pipe closes."""
    start = (
        "import sys, pickle, time, jaxes.rl.host.here as here\n"
        "process = here.Process(pickle.dumps(list), 1)\n"
        "print(process._process.pid, flush=True)\n"
        "time.sleep(float(sys.argv[1]))\n"
        "sys.exit(0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    for _ in range(10):  # while it starts and imports
        os.kill(worker, signal.SIGINT)
        time.sleep(0.1)
    os.kill(worker, 0)  # it is there still
    _, error = process.communicate(timeout=60)  # until the worker has ended too: it has the same stderr
    assert (process.returncode, error) == (0, "")


LATER = """
def evaluate(generation, key, ask, ids):  # the second generation takes for ever
    loops = jnp.where(generation == 0, 1, 10**9)
    one = lambda x: jax.lax.fori_loop(0, loops, lambda _, y: jnp.sin(y), jnp.sum(x))
    return jax.vmap(one)(ask()), ()

problem = jaxes.Problem(lambda key: jnp.int32(0), evaluate, lambda generation, sums: generation + 1)
options = {"key": jax.random.key(0), "out": sys.argv[1], "chunk_seconds": 0.0}
for report in jaxes.fit(jaxes.open_es(4), problem, jnp.ones(64), **options):
    print("begun", flush=True)
"""


def test_the_second_ctrl_c_does_not_wait_for_a_long_generation(tmp_path):
    process = program(LATER, tmp_path / "run")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(2)
    assert process.poll() is None  # it will stop when this generation is done
    process.send_signal(signal.SIGINT)
    code, error = ended(process)
    assert code != 0 and "interrupted at generation 1" in error
    assert (tmp_path / "run/checkpoints/1").is_dir()
