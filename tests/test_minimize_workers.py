"""Evaluating a function in processes: whatever f is, however it fails, nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxes import minimize_function
from jaxes.search.values.workers import WorkerError, Workers, wanted

MEMBERS = [np.full(3, float(i)) for i in range(12)]


@pytest.fixture(scope="module")
def two():
    """Two processes whose f calls a member, which is a function then."""
    with Workers(lambda member: member(), 2) as workers:
        yield workers


def in_order(workers, members):
    values = sorted(workers.evaluate(members), key=lambda pair: pair[0])
    assert [i for i, _ in values] == list(range(len(members)))
    return [value for _, value in values]


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody waits for."""
    try:
        os.kill(pid, 0)
        return "Z" not in subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    except ProcessLookupError:
        return False


def gone(pids, seconds=10.0) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("count", [1, 3])
def test_values_belong_to_their_members_however_many_there_are(count):
    def late(x):  # the first ones come last
        time.sleep(0.02 * (x[0] < 3))
        return float(np.sum(np.sin(x))), os.getpid()

    with Workers(late, count) as workers:
        values = in_order(workers, MEMBERS)
        again = in_order(workers, MEMBERS[:2])
    assert [value for value, _ in values] == [float(np.sum(np.sin(x))) for x in MEMBERS]
    pids = {pid for _, pid in values + again}
    assert len(pids) == count and os.getpid() not in pids
    assert gone(pids, 1.0)


def test_any_function_and_any_tree(two):
    scale = 3.0

    class Local:
        def __init__(self, x):
            self.x = x

        def value(self):
            return scale * self.x

    made, value = in_order(two, [lambda: Local(2.0), Local(4.0).value])
    assert isinstance(made, Local) and made.value() == 6.0 and value == 12.0
    assert in_order(two, [partial(jax.jit(jnp.sin), 0.0)]) == [0.0]

    class Pair(NamedTuple):
        a: np.ndarray
        b: float

    with Workers(lambda pair: Pair(pair.a * pair.b, 1.0), 1) as workers:
        (value,) = in_order(workers, [Pair(np.arange(3.0), 2.0)])
    assert isinstance(value, Pair) and value.a.tolist() == [0, 2, 4]


def test_members_may_be_kept_and_changed():
    kept = []

    def f(x):
        x += 1
        kept.append(x)
        return sum(float(each[0]) for each in kept)

    with Workers(f, 1) as workers:
        assert in_order(workers, MEMBERS[:3]) == [1.0, 3.0, 6.0]
    assert MEMBERS[0].tolist() == [0, 0, 0] and kept == []


def test_workers_have_one_thread_for_products_and_this_processs_doubles(two, monkeypatch):
    assert in_order(two, [lambda: os.environ["OPENBLAS_NUM_THREADS"], lambda: "jax" in sys.modules]) == ["1", False]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with Workers(lambda name: os.environ[name], 1) as workers:
        assert in_order(workers, ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "JAX_ENABLE_X64"]) == ["2", "1", "0"]


def raising(kind, *arguments):
    def f():
        raise kind(*arguments)

    return f


def of_two():
    class NeedsTwoError(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    return raising(NeedsTwoError, "x", "y")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (raising(ZeroDivisionError, "of f"), ZeroDivisionError, "^of f$"),
        (of_two(), RuntimeError, "^f raised .*NeedsTwoError: x and y$"),  # its text does not make it
        (raising(SystemExit, 3), SystemExit, "^3$"),
        (raising(KeyboardInterrupt), KeyboardInterrupt, "^$"),
    ],
    ids=["as it is", "cannot be sent", "exit", "interrupt"],
)
def test_an_exception_is_raised_as_itself_with_its_traceback(two, error, kind, text):
    with pytest.raises(kind, match=text) as raised:
        list(two.evaluate([error]))
    assert type(raised.value) is kind
    cause = raised.value.__cause__
    assert isinstance(cause, WorkerError) and "test_minimize_workers.py" in str(cause) and "raise " in str(cause)
    assert in_order(two, [lambda: 5]) == [5]  # they start again


def test_of_several_exceptions_the_first_members_is_raised(two):
    def slow():
        time.sleep(0.3)
        raise ValueError("the first")

    values = []
    with pytest.raises(ValueError, match="the first"):
        for i, _ in two.evaluate([lambda: 0, slow, raising(TypeError, "the second"), lambda: 3]):
            values.append(i)
    assert values == [0]


def test_a_member_whose_process_dies_is_evaluated_again(two, tmp_path):
    def dies_once(i):
        def f():
            if i % 3 == 0 and not (tmp_path / str(i)).exists():
                (tmp_path / str(i)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return i

        return f

    assert in_order(two, [dies_once(i) for i in range(8)]) == list(range(8))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3", "6"]


@pytest.mark.parametrize(
    ("end", "code"),
    [(lambda: os._exit(7), r"\(exit code 7\)"), (lambda: os.kill(os.getpid(), 9), r"\(exit code -9, SIGKILL\)")],
    ids=["exit", "killed"],
)
def test_a_member_that_ends_three_processes_is_named(two, end, code):
    with pytest.raises(RuntimeError, match=f"ended 3 worker processes when it was called with member 2 {code}"):
        list(two.evaluate([lambda: 0, lambda: 1, end, lambda: 3]))


def test_who_has_had_enough_leaves_nothing_running(two):
    first = next(two.evaluate([os.getpid, lambda: time.sleep(60)]))
    assert gone([first[1]], 2.0)
    assert in_order(two, [lambda: 1, lambda: 2]) == [1, 2]  # and no late value


def test_what_cannot_be_sent_is_refused(monkeypatch, tmp_path):
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"^f cannot be sent to worker processes \(.*lock.*\); workers=None evaluates"):
        Workers(lambda x: lock.locked(), 2)
    with (
        Workers(lambda x: threading.Lock(), 1) as workers,
        pytest.raises(TypeError, match=r"^f returned a lock, which"),
    ):
        list(workers.evaluate([1.0]))
    (tmp_path / "fleeting.py").write_text("def f(x):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import fleeting  # type: ignore

    workers = Workers(fleeting.f, 1)
    (tmp_path / "fleeting.py").unlink()
    with workers, pytest.raises(RuntimeError, match=r"^f cannot be made in a worker process \(ModuleNotFoundError: "):
        list(workers.evaluate([1.0]))


@pytest.mark.parametrize("workers", [-2, 1.5, True, "all", "2"])
def test_numbers_of_processes(workers):
    with pytest.raises(ValueError, match="workers must be a number of processes, -1 for one on each core, or N"):
        wanted(workers)
    assert (wanted(None), wanted(0), wanted(np.int64(3))) == (0, 0, 3)
    assert 1 <= wanted(-1) <= (os.cpu_count() or 1)


SCRIPT = """
import os, subprocess, sys, time
print("runs", flush=True)
import numpy as np
from jaxes.search.values.workers import Workers

class Mine(Exception):
    pass

def helper(x):
    return float(np.sum(x**2)), "jax" in sys.modules

def f(x):
    if x[0] < 0:
        raise Mine("below")
    return helper(x)

def forever(folder):
    sleeping = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/{os.getpid()}", "w") as file:
        file.write(str(sleeping.pid))
    time.sleep(600)

if sys.argv[2:]:
    from jaxes import minimize_function

    def slow(x):
        open(f"{sys.argv[1]}/{os.getpid()}", "w").write(str(os.getpid()))
        time.sleep(0.05)
        return helper(x)[0]

    result = minimize_function(slow, np.ones(3), 1.0, workers=2, verbose=0)
    print(result.stop, result.nfev > 4, result.fun == helper(result.x)[0])
    sys.exit()
if sys.argv[1:]:
    with Workers(forever, 2) as workers:
        list(workers.evaluate([sys.argv[1]] * 2))
with Workers(f, 2) as workers:
    print(sorted(workers.evaluate([np.ones(2), np.zeros(2)])))
    try:
        list(workers.evaluate([-np.ones(2)]))
    except Mine as error:
        print(repr(error))
"""


def test_functions_of_a_script_need_no_second_run_of_it(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["runs", "[(0, (2.0, False)), (1, (0.0, False))]", "Mine('below')"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "the parent's death"])
def test_nothing_is_left_behind(tmp_path, ending):
    """Neither workers nor what f has started; Ctrl-C goes to all processes of the terminal."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "pids")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    files: list[Path] = []
    while len([path for path in files if path.read_text()]) < 2 and process.poll() is None:
        time.sleep(0.05)
        files = list((tmp_path / "pids").iterdir())
    pids = [int(path.name) for path in files] + [int(path.read_text()) for path in files]
    assert len(pids) == 4 and all(alive(pid) for pid in pids)
    os.killpg(process.pid, ending)
    _, error = process.communicate(timeout=20)
    assert gone(pids)
    if ending == signal.SIGINT:
        assert error.count("KeyboardInterrupt") == 1
    else:
        assert error == ""


def test_an_interrupted_search_returns_what_it_has_found(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "pids"), "search"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list((tmp_path / "pids").iterdir())) < 2 and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (out.splitlines(), error) == (["runs", "interrupted True True"], "")
    assert gone(int(path.name) for path in (tmp_path / "pids").iterdir())


def test_a_search_by_processes(tmp_path):
    """The numbers of a search without them, whatever dies; none is left at the end."""

    def sphere(x):
        (tmp_path / str(os.getpid())).touch()
        if x[0] < 0.2 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return float(np.sum(x**2))

    settings = {"budget": 200, "verbose": 0, "seed": 3}
    alone = minimize_function(lambda x: float(np.sum(x**2)), np.ones(4), 0.5, **settings)
    result = minimize_function(sphere, np.ones(4), 0.5, workers=3, **settings)
    assert np.array_equal(result.x, alone.x) and (result.fun, result.nfev) == (alone.fun, alone.nfev)
    assert np.array_equal(result.history["worst"], alone.history["worst"])
    pids = [int(path.name) for path in tmp_path.iterdir() if path.name != "died"]
    assert (tmp_path / "died").exists() and len(pids) == 4 and not any(alive(pid) for pid in pids)
    more = result.resume(budget=300)
    assert (
        more.nfev > 280 and more.fun < result.fun and gone(int(p.name) for p in tmp_path.iterdir() if p.name != "died")
    )


def test_a_function_that_raises_in_a_process_has_the_result_so_far():
    def f(x):
        if x[0] < 0:
            raise ValueError(f"log of {x[0]}")
        return float(x @ x)

    with pytest.raises(ValueError, match="log of -") as raised:
        minimize_function(f, np.ones(2), 0.5, workers=2, verbose=0)
    result = raised.value.result
    assert result.nfev > 0 and result.fun == float(result.x @ result.x) and result.stop.startswith("ValueError at ")
    with pytest.raises(TypeError, match="f must return one real number, got None"):
        minimize_function(lambda x: None, np.ones(2), 0.5, workers=2, verbose=0)
    with pytest.raises(ValueError, match="workers must be None with vectorized=True"):
        minimize_function(lambda X: X[:, 0], np.ones(2), 0.5, workers=2, vectorized=True)
