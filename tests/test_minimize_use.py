"""Using `minimize_function` and `ESOpt`: bounds, whole numbers, folders, results, failures."""

import json
import pickle
import shutil
import signal
import threading
import time

import matplotlib
import numpy as np
import pytest
import scipy.optimize

import jaxes
from jaxes.search.arguments.bounds import box_of, whole_of
from jaxes.search.running import record
from jaxes.search.running.history import History


def sphere(x):
    return float(np.sum(x**2))


def rastrigin(x):
    return float(10 * x.size + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def same(a, b):
    """Whether two results tell the same, but for the seconds."""
    assert (a.fun, a.nfev, a.nit, a.stop, a.restarts, a.sigma) == (b.fun, b.nfev, b.nit, b.stop, b.restarts, b.sigma)
    for name in ("x", "mean", "funs", "axis_lengths", "xs"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in a.history:
        np.testing.assert_array_equal(a.history[name], b.history[name])


@pytest.mark.parametrize(
    "bounds",
    [
        ([-1, -np.inf, 0], [2, 5, np.inf]),
        ([-1, None, 0], (2, 5, None)),
        [(-1, 2), (None, 5), (0, None)],
        np.array([[-1, 2], [-np.inf, 5], [0, np.inf]]),
        scipy.optimize.Bounds([-1, -np.inf, 0], [2, 5, np.inf]),
    ],
    ids=["sides", "none", "pairs", "rows", "scipy"],
)
def test_bounds_in_every_form(bounds):
    low, high = box_of(bounds, np.zeros(3))
    np.testing.assert_array_equal([low, high], [[-1, -np.inf, 0], [2, 5, np.inf]])


def test_bounds_of_two_coordinates():
    """Tuples are pairs; what could be read in two ways is refused."""
    for bounds in ([(0, 5), (1, 6)], ((0, 5), (1, 6))):
        np.testing.assert_array_equal(box_of(bounds, np.ones(2)), [[0, 1], [5, 6]])
    sides = box_of((np.array([0, 5]), np.array([1, 6])), np.ones(2))
    np.testing.assert_array_equal(sides, [[0, 5], [1, 6]])
    for bounds in ([[0, 5], [1, 6]], np.array([[0, 5], [1, 6]])):
        with pytest.raises(ValueError, match="bounds of two coordinates can be read in two ways here"):
            box_of(bounds, np.ones(2))
    for bounds in ([[0, 0], [2, 3]], np.array([[0, 0], [2, 3]])):  # as pairs the first is empty
        np.testing.assert_array_equal(box_of(bounds, np.ones(2)), [[0, 0], [2, 3]])
    np.testing.assert_array_equal(box_of([[0, 1], [0, 1]], np.ones(2)), [[0, 0], [1, 1]])
    assert box_of((None, None), np.ones(2)) is None
    np.testing.assert_array_equal(box_of((0, None), np.ones(2)), [[0, 0], [np.inf, np.inf]])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ("ab", "bounds must be .low, high., each a number or one for each coordinate"),
        (3.0, "bounds must be"),
        ([(0, 1), (0, 1), (0, 1), (0, 1)], "pair for each of 3 coordinates, got 4 entries"),
        ([(0, 1), (0, 1), (1, 0)], r"bounds must have low below high, got 1 and 0 for x0\[2\]"),
        ([(0, 1), (0, 1), (0.5, 0.5)], r"got 0.5 and 0.5 for x0\[2\], which is fixed: leave it out of x0"),
        ([(0, 1), (0, np.nan), (0, 1)], r"bounds must be numbers, got NaN as the high bound of x0\[1\]"),
        ([(0, 1), (2, 4), (0, 1)], r"x0 must lie within the bounds, got 0.5 for x0\[1\], whose bounds are 2 and 4"),
        (("a", None), "bounds' low side must hold numbers, got 'a'"),
    ],
)
def test_bounds_that_are_refused(bounds, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jaxes.minimize_function(sphere, [0.5, 0.5, 0.5], 0.1, bounds=bounds)


def test_whole_numbers_in_every_form():
    for integer in (True, [0, 1, 2], {0, 1, 2}, range(3), np.arange(3), [True] * 3, np.ones(3, bool), [-1, 0, 1]):
        assert whole_of(integer, np.zeros(3)).tolist() == [True] * 3
    for integer in (None, False, [], [False] * 3, np.zeros(3, bool)):
        assert whole_of(integer, np.zeros(3)) is None
    assert whole_of({"a": True, "b": False}, {"a": np.zeros(2), "b": np.zeros(1)}).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="integer must hold places from 0 to 2 of x0's numbers, got 3"):
        whole_of([0, 3], np.zeros(3))
    with pytest.raises(ValueError, match=r"integer must hold each place once, got \[0, 0, 1\]"):
        whole_of([0, 0, 1], np.zeros(3))
    with pytest.raises(TypeError, match="integer must be True, booleans for each number of x0, or places"):
        whole_of("all", np.zeros(3))
    with pytest.raises(ValueError, match=r"bounds must have a whole number between .* got 0.2 and 0.8 for x0\[1\]"):
        jaxes.minimize_function(sphere, [0.5, 0.5], 0.1, bounds=(0.2, 0.8), integer=[1])


@pytest.mark.parametrize("strategy", ["cma_es", "snes"])
def test_whole_numbers_within_bounds(strategy):
    seen = []
    wanted = np.array([3.0, -2.0, 1.25, 0.5])

    def f(x):
        seen.append(x)  # it may keep them
        return sphere(x - wanted)

    result = jaxes.minimize_function(
        f, np.zeros(4), 1.5, bounds=(-2.5, 2.6), integer=[0, 1], budget=3000, verbose=0, strategy=strategy
    )
    np.testing.assert_allclose(result.x, [2, -2, 1.25, 0.5], atol=1e-3)
    seen = np.array(seen)
    assert (seen >= -2.5).all() and (seen <= 2.6).all()
    np.testing.assert_array_equal(seen[:, :2], np.round(seen[:, :2]))
    assert set(seen[:, 0]) <= {-2, -1, 0, 1, 2} and sphere(result.x - wanted) == result.fun


def test_a_sigma_for_each_coordinate():
    scale = np.array([1e-3, 1.0, 1e3])
    f = lambda x: sphere((x - scale) / scale)
    wide = [jaxes.minimize_function(f, np.zeros(3), scale, target=1e-9, verbose=0, seed=i).nfev for i in range(5)]
    round_ = [jaxes.minimize_function(sphere, -np.ones(3), 1.0, target=1e-9, verbose=0, seed=i).nfev for i in range(5)]
    assert np.median(wide) < 1.15 * np.median(round_)
    other = jaxes.minimize_function(f, np.zeros(3), scale, target=1e-4, budget=4000, strategy="snes", verbose=0)
    assert other.stop == "target"
    deviation = other.history["deviation"][0]
    np.testing.assert_allclose(deviation / scale, np.mean(deviation / scale), rtol=0.5)
    with pytest.raises(ValueError, match="sigma must be one number where a strategy other than cma_es searches whole"):
        jaxes.minimize_function(f, np.zeros(3), scale, strategy="snes", integer=[0], verbose=0)


@pytest.mark.parametrize("strategy", ["cma_es", "snes"])
@pytest.mark.parametrize("restarts", [None, "ipop", "bipop"])
def test_a_search_goes_on_to_the_same_numbers(tmp_path, strategy, restarts, monkeypatch):
    monkeypatch.setattr(record, "_LEAST_SECONDS", 0.0)
    given = {"restarts": restarts, "seed": 5, "verbose": 0, "strategy": strategy}
    start = lambda rng: rng.uniform(-3, 3, 2)
    whole = jaxes.minimize_function(rastrigin, start, 1.0, budget=2400, **given)
    out = tmp_path / "search"
    part = jaxes.minimize_function(rastrigin, start, 1.0, budget=300, out=out, **given)
    same(part.resume(budget=2400), whole)
    with pytest.raises(FileExistsError, match=r"holds a search of \d+ evaluations: go on with it by resume=True"):
        jaxes.minimize_function(rastrigin, start, 1.0, budget=300, out=out, **given)
    shutil.rmtree(out)
    again = jaxes.minimize_function(rastrigin, start, 1.0, budget=300, out=out, **given)
    assert again.nfev == part.nfev
    calls = []

    def stopped(x):
        calls.append(x)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return rastrigin(x)

    jaxes.minimize_function(stopped, start, 1.0, budget=2400, out=out, resume=True, **given)
    same(jaxes.minimize_function(rastrigin, start, 1.0, budget=2400, out=out, resume=True, **given), whole)
    with pytest.raises(ValueError, match="out has a search with seed=5, got seed=6"):
        at = start(np.random.default_rng(5))
        jaxes.minimize_function(rastrigin, at, 1.0, budget=99, out=out, resume=True, **{**given, "seed": 6})
    with pytest.raises(ValueError, match=r"out has a search with x0=\[.*\], got x0=\[1.0, 1.0\]"):
        jaxes.minimize_function(rastrigin, [1.0, 1.0], 1.0, budget=99, out=out, resume=True, **given)
    with pytest.raises(ValueError, match="out has a search with n=2, got n=3"):
        jaxes.minimize_function(rastrigin, np.ones(3), 1.0, budget=99, out=out, resume=True, **given)


def test_what_a_kill_leaves_is_a_search_that_goes_on(tmp_path, monkeypatch):
    """The state is written as the search goes; a process that dies loses what came after."""
    monkeypatch.setattr(record, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(record, "_SHARE", 0)
    copy = lambda row: row["nfev"] == 408 and shutil.copytree(tmp_path / "whole", tmp_path / "killed") and None
    given = {"budget": 1200, "verbose": 0}
    whole = jaxes.minimize_function(rastrigin, [2.0, 2.0], 1.0, out=tmp_path / "whole", callback=copy, **given)
    given["out"] = tmp_path / "killed"
    assert json.loads((tmp_path / "killed/history.json").read_text())["nfev"] == 402
    calls = []
    count = lambda x: calls.append(1) or rastrigin(x)
    same(jaxes.minimize_function(count, [2.0, 2.0], 1.0, resume=True, **given), whole)
    assert len(calls) == whole.nfev - 402
    tmp_path = tmp_path / "killed"
    (tmp_path / "search.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"search\.npz is not the state of a search"):
        jaxes.minimize_function(rastrigin, [2.0, 2.0], 1.0, resume=True, **given)
    with pytest.raises(ValueError, match="resume=True goes on with the search in a folder, so out must be given"):
        jaxes.minimize_function(rastrigin, [2.0, 2.0], 1.0, budget=1200, resume=True)


def test_a_function_that_raises_leaves_what_was_found(tmp_path):
    calls = []

    def f(x):
        calls.append(sphere(x))
        if len(calls) == 50:
            raise OSError("the simulator is gone")
        return calls[-1]

    with pytest.raises(OSError, match="the simulator is gone") as caught:
        jaxes.minimize_function(f, [1.0, 1.0, 1.0], 0.5, out=tmp_path, verbose=0)
    result = caught.value.result
    assert result.fun == min(calls[:49]) == sphere(result.x) and result.nfev == 49
    assert result.stop == "OSError at evaluation 50" and "OSError at evaluation 50" in result.message
    on = jaxes.minimize_function(sphere, [1.0, 1.0, 1.0], 0.5, out=tmp_path, verbose=0, target=1e-8, resume=True)
    same(on, jaxes.minimize_function(sphere, [1.0, 1.0, 1.0], 0.5, verbose=0, target=1e-8))


def test_the_first_call_raises():
    def broken(x):
        raise ValueError("no such file")

    for workers in (None, 1):
        with pytest.raises(ValueError, match="no such file") as caught:
            jaxes.minimize_function(broken, [1.0, 1.0], 0.5, workers=workers)
        result = caught.value.result
        assert result.x is None and result.nfev == 0
        assert result.message == "The search ended: ValueError at evaluation 1."


def test_the_same_exception_in_two_searches_has_the_result_of_the_last():
    error = OSError("gone")
    for at in (30, 60):
        calls = []

        def f(x, at=at, calls=calls):
            calls.append(1)
            if len(calls) == at:
                raise error
            return sphere(x)

        with pytest.raises(OSError, match="gone") as caught:
            jaxes.minimize_function(f, [1.0, 1.0], 0.5, verbose=0)
        assert caught.value.result.nfev == at - 1


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_LEAST_SECONDS", 0.0)
    out = tmp_path / "search"

    def f(x):
        shutil.rmtree(out, ignore_errors=True)
        out.write_text("a file is in the way") if not out.exists() else None
        return sphere(x)

    with pytest.warns(UserWarning, match="cannot be written, and the search goes on without") as told:
        result = jaxes.minimize_function(f, [1.0, 1.0], 0.5, out=out, target=1e-6, verbose=0)
    assert result.stop == "target" and len(told) == 1


def test_what_a_callback_changes_is_its_own():
    def spoil(row):
        row["mean"][:] = 5.0
        row["x"][:] = 7.0
        row["deviation"][:] = 0.0

    plain = jaxes.minimize_function(sphere, [1.0, 2.0, 3.0], 0.5, budget=700, verbose=0)
    same(jaxes.minimize_function(sphere, [1.0, 2.0, 3.0], 0.5, budget=700, verbose=0, callback=spoil), plain)


def test_ctrl_c_at_any_moment_goes_on_to_the_same_numbers(tmp_path):
    """As soon as a generation is learned it is remembered, whenever the signal comes."""
    rng = np.random.default_rng(0)
    noise = lambda x: sphere(x) + 0.01 * np.sin(1e6 * x[0])
    for given in (
        {},
        {"constraints": lambda x: [1 - x[0], x[1] - 2]},
        {"noisy": True},
        {"integer": [0], "restarts": 2},
    ):
        given |= {"budget": 1500, "verbose": 0}
        whole = jaxes.minimize_function(noise, np.full(4, 2.0), 0.5, **given)
        result = None
        for _ in range(12):
            timer = threading.Timer(rng.uniform(0.002, 0.06), signal.raise_signal, (signal.SIGINT,))
            timer.start()
            try:
                if result is None:
                    result = jaxes.minimize_function(noise, np.full(4, 2.0), 0.5, **given)
                elif result.stop == "interrupted":
                    result = result.resume(budget=1500)
                timer.join()
            except KeyboardInterrupt:
                pass  # before the first evaluation, or after the last
        timer.cancel()
        if result.stop == "interrupted":
            result = result.resume(budget=1500)
        same(result, whole)


def test_time_and_a_sigma_by_default():
    began = time.monotonic()
    result = jaxes.minimize_function(rastrigin, np.ones(5), bounds=(-5, 5), seconds=0.3, restarts=99, verbose=0)
    assert result.stop == "seconds" and 0.3 <= time.monotonic() - began < 2
    assert result.history["sigma"][0] < 3
    with pytest.raises(TypeError, match="sigma must be given, about a quarter of the width of the region to search"):
        jaxes.minimize_function(rastrigin, np.ones(5), bounds=(None, 5))
    with pytest.raises(ValueError, match="seconds must be a number above 0, got -1"):
        jaxes.minimize_function(rastrigin, np.ones(5), 1.0, seconds=-1)


def test_small_units():
    f = lambda x: float((x[0] / 2e-12 - 1) ** 2 + (x[1] / 3e-12 - 1) ** 2)
    assert jaxes.minimize_function(f, [1e-12] * 2, 5e-13, verbose=0).fun < 1e-9


def test_a_result_of_a_tree_shows_numbers():
    f = lambda x: x["a"] ** 2 + sphere(x["b"])
    result = jaxes.minimize_function(f, {"a": 1.0, "b": [2, 3]}, 1.0, budget=20, verbose=0)
    assert f"'a': {result.x['a'].item()}" in " ".join(repr(result).split())


def test_no_value_anywhere():
    for value, stop in ((np.inf, "flat"), (np.nan, "invalid")):
        result = jaxes.minimize_function(lambda x, value=value: value, [1.0, 1.0], 0.5, verbose=0)
        assert result.stop == stop and result.message.startswith("The search ended: ")
        assert (result.x is None) == np.isnan(value) and repr(result.fun) == repr(value)
        assert ("All values were infinite." in result.message) == (value == np.inf)


def test_a_result_tells_all():
    result = jaxes.minimize_function(rastrigin, np.full(20, 2.0), 1.0, budget=900, verbose=0)
    assert len(result.xs) == len(result.funs) == 10 and (np.diff(result.funs) >= 0).all()
    assert [rastrigin(x) for x in result.xs] == result.funs.tolist()
    np.testing.assert_array_equal(result.x, result.xs[0])
    assert result.nit == len(result.history["nfev"]) and result.axis_lengths.shape == (20,)
    assert (np.diff(result.axis_lengths) >= 0).all() and result.axis_lengths[0] > 0
    lines = repr(result).splitlines()
    assert len(lines) <= 14 and all(len(line) < 80 for line in lines) and str(result.fun) in repr(result)
    copy = pickle.loads(pickle.dumps(result))
    same(copy, result)
    with pytest.raises(RuntimeError, match="a result that was pickled has left its search behind"):
        copy.resume(budget=1000)
    with pytest.raises(ValueError, match="budget must be a whole number"):
        result.resume(budget=-1)
    with pytest.raises(ValueError, match="budget must be above the 900 evaluations"):
        result.resume(budget=100)
    result.x[:] = 99.0  # of its own
    more = result.resume(budget=1200)
    assert 900 < more.nfev <= 1200 and more.fun == rastrigin(more.x) and more.resume(budget=1500).nfev > 1200
    with pytest.raises(RuntimeError, match="the search has gone on from this result, to generation"):
        result.resume(budget=2000)


def test_a_result_is_drawn(tmp_path):
    result = jaxes.minimize_function(rastrigin, [2.0, 2.0], 1.0, budget=900, restarts=1, verbose=0)
    figure = result.plot(tmp_path / "search.png")
    assert isinstance(figure, matplotlib.figure.Figure) and (tmp_path / "search.png").stat().st_size > 10_000
    nothing = jaxes.minimize_function(lambda x: np.nan, [2.0, 2.0], 1.0, budget=60, verbose=0)
    nothing.plot(tmp_path / "nothing.png")


def test_a_long_history_is_thinned():
    history = History(2)
    history._most = 8
    for i in range(100):
        row = dict.fromkeys(("best", "median", "worst", "fun", "run", "population_size", "sigma", "axis_ratio"), 0.0)
        history.add({**row, "nfev": i, "mean": np.zeros(2), "deviation": np.zeros(2)})
        nfev = history.columns()["nfev"]
        assert nfev[-1] == i and len(nfev) <= 9
        copy = History(2)
        copy._most = 8
        copy.restore(history.state())
        assert copy.columns()["nfev"].tolist() == nfev.tolist()
        assert [row["nfev"] for row in copy._rows] == [row["nfev"] for row in history._rows]
    assert nfev.tolist() == [0, 16, 32, 48, 64, 80, 96, 99]


def test_sigmas_and_starts_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"^sigma must be one for all, or one for each number of x0 \(2\), got a list of 3$"
    ):
        jaxes.minimize_function(lambda x: 0.0, {"a": 1.0, "b": 2.0}, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"x0\(rng\) must be alike for every run, \(\d,\), got \(\d,\)"):
        jaxes.minimize_function(sphere, lambda rng: np.ones(rng.integers(2, 9)), 1.0, restarts=5, verbose=0)
    for out in (3, True, b"x", ""):
        with pytest.raises(TypeError, match="out must be the path of a folder, got"):
            jaxes.minimize_function(sphere, [1.0], 1.0, out=out)


def test_steps_that_are_far_too_small_grow():
    wanted = np.array([3e8, -1e7])
    for integer in (None, True):
        f = lambda x: float(np.sum(np.abs(x - wanted)))
        result = jaxes.minimize_function(f, [0, 0], 1.0, integer=integer, target=1e-3, budget=5000, verbose=0)
        assert result.stop == "target"
    endless = jaxes.minimize_function(lambda x: float(x[0]), [0.0, 0.0], 1.0, verbose=0)
    assert endless.stop == "upsigma" and endless.nfev < 3000


def test_values_near_the_largest_double():
    result = jaxes.minimize_function(lambda x: 1e308 * float(np.tanh(x @ x)), [1.0, 1.0], 0.3, budget=600, verbose=0)
    assert result.fun < 1e303 and np.isfinite(result.history["median"]).all()


def test_an_argument_that_there_is_not():
    with pytest.raises(TypeError, match=r"foo is no argument here, and no option of cma_es: cma_es has c_m, "):
        jaxes.minimize_function(sphere, [1.0], 1.0, foo=1)
    with pytest.raises(TypeError, match=r"sed is no argument here, and no option of open_es; did you mean seed\?"):
        jaxes.ESOpt([1.0], 1.0, 4, minimize=True, sed=1)


def test_many_searches_compile_nothing_and_keep_nothing():
    """By `cma_es`; JAX is not even asked for a device."""
    import gc

    def one(seed):
        rng = np.random.default_rng(seed)
        jaxes.minimize_function(
            sphere, rng.uniform(-1, 1, 3), rng.uniform(0.1, 1), bounds=(-2, 2), seed=seed, budget=70, verbose=0
        )

    one(0)
    gc.collect()
    before = len(gc.get_objects())
    for seed in range(1, 30):
        one(seed)
    gc.collect()
    assert len(gc.get_objects()) - before < 200


class TestESOpt:
    def test_which_way(self):
        for given, up in (({"minimize": True}, False), ({"minimize": False}, True), ({"maximize": True}, True)):
            opt = jaxes.ESOpt([0.0], 1.0, 4, strategy="cma_es", **given)
            opt.ask()
            opt.tell([1.0, 2.0, 3.0, 4.0])
            assert opt.best_value == (4.0 if up else 1.0) == opt.result.fun
            assert opt.result.history["fun"].tolist() == [opt.best_value]
        for given in ({"minimize": True, "maximize": False}, {}, {"minimize": 1}):
            with pytest.raises(TypeError, match="minimize=True or maximize=True must be given"):
                jaxes.ESOpt([0.0], 1.0, 4, **given)

    @pytest.mark.parametrize("strategy", ["cma_es", "open_es", jaxes.snes])
    def test_bounds_whole_numbers_and_the_end(self, strategy):
        opt = jaxes.ESOpt(
            [0.0, 0.0], 0.7, 10, minimize=True, strategy=strategy, bounds=[(-1, 2), (-3, 3)], integer=[0], seed=1
        )
        while not opt.stop() and opt.result.nit < 150:
            candidates = opt.ask()
            assert np.abs(candidates[:, 1]).max() <= 3 and set(candidates[:, 0]) <= {-1, 0, 1, 2}
            opt.tell([(x[0] - 1.9) ** 2 + (x[1] - 0.5) ** 2 for x in candidates])
        assert opt.best[0] == 2 and abs(opt.best[1] - 0.5) < 0.1
        name = strategy if isinstance(strategy, str) else "snes"
        assert repr(opt).startswith(f"ESOpt({name}, n=2, population_size=10, minimize=True: ")
        copy = pickle.loads(pickle.dumps(opt))
        np.testing.assert_array_equal(copy.ask(), opt.ask())

    def test_inject(self):
        opt = jaxes.ESOpt(np.full(5, 3.0), 1.0, 8, minimize=True, strategy="cma_es")
        opt.inject(np.zeros(5), np.full(5, 0.1))
        copy = pickle.loads(pickle.dumps(opt))
        candidates = opt.ask()
        np.testing.assert_array_equal(candidates[:2], [np.zeros(5), np.full(5, 0.1)])
        np.testing.assert_array_equal(candidates, copy.ask())
        distance = np.linalg.norm(opt.mean)
        opt.tell([sphere(x) for x in candidates])
        moved = np.linalg.norm(np.full(5, 3.0) - opt.mean)
        assert opt.best_value == 0 and np.linalg.norm(opt.mean) < distance
        assert moved < np.sqrt(5) + 10 / 7  # a far point counts as a long step, not as the whole way
        assert not (opt.ask() == 0).all(axis=1).any()
        with pytest.raises(RuntimeError, match="inject must come before ask"):
            opt.inject(np.zeros(5))
        opt.tell(np.zeros(8))
        opt.inject([[0.2] * 5, [0.3] * 5])
        opt.inject(np.full(5, 0.4))
        np.testing.assert_array_equal(opt.ask()[:3, 0], [0.2, 0.3, 0.4])
        with pytest.raises(TypeError, match="tell takes the values alone"):
            opt.tell(candidates, np.zeros(8))
        with pytest.raises(RuntimeError, match="this result is of an ESOpt"):
            opt.result.resume()
        assert jaxes.ESOpt(np.ones(10), 1.0, None, minimize=True, strategy="cma_es").population_size == 10
        best = opt.best
        best[:] = 77.0
        assert sphere(opt.best) == opt.best_value

    def test_a_result_that_is_maximized_is_drawn(self):
        opt = jaxes.ESOpt([3.0, 3.0], 0.5, 8, maximize=True, strategy="cma_es")
        for _ in range(60):
            opt.tell([-sphere(x) for x in opt.ask()])
        line = next(x for x in opt.result.plot().axes[0].lines if x.get_label() == "highest of all - best")
        gaps = line.get_ydata()
        assert np.nanmin(gaps) < 1e-3 * np.nanmax(gaps) and np.nanargmax(gaps) < 20

    def test_what_inject_refuses(self):
        opt = jaxes.ESOpt(np.ones(3), 1.0, 4, minimize=True, strategy="cma_es", bounds=(-2, 2))
        with pytest.raises(ValueError, match="points must be like x0"):
            opt.inject(np.zeros(2))
        with pytest.raises(ValueError, match=r"a point must lie within the bounds, got 9 for its \[0\], whose"):
            opt.inject(np.full(3, 9.0))
        with pytest.raises(ValueError, match="points must be at most 4"):
            opt.inject(*np.zeros((5, 3)))
        whole = jaxes.ESOpt(np.ones(3), 1.0, 4, minimize=True, strategy="cma_es", integer=[1])
        with pytest.raises(ValueError, match=r"a point must have whole numbers where integer asks, got 1.5"):
            whole.inject([0.5, 1.5, 0.0])
        with pytest.raises(TypeError, match="inject needs strategy='cma_es'"):
            jaxes.ESOpt(np.ones(3), 1.0, 4, minimize=True).inject(np.zeros(3))

    def test_a_good_point_that_is_known_helps(self):
        def evaluations(known, seed):
            opt = jaxes.ESOpt(np.full(6, 40.0), 0.5, 9, minimize=True, strategy="cma_es", seed=seed)
            while opt.best_value is None or opt.best_value > 1e-6:
                if known and opt.result.nit % 5 == 0:
                    opt.inject(np.full(6, 1e-2))
                opt.tell([sphere(x) for x in opt.ask()])
            return opt.result.nfev

        with_it, without = ([evaluations(known, seed) for seed in range(5)] for known in (True, False))
        assert np.mean(with_it) < 0.9 * np.mean(without)

    def test_a_result_at_every_time(self):
        opt = jaxes.ESOpt([1.0, 1.0], 0.5, 6, minimize=True, strategy="cma_es")
        assert opt.result.x is None and opt.result.message == "The search goes on." and opt.stop() == []
        while not opt.stop():
            opt.tell([sphere(x) for x in opt.ask()])
        assert opt.result.stop == ", ".join(opt.stop()) and opt.result.fun < 1e-10
        assert opt.result.plot() is not None
