"""The training loop on small problems: limits, reports, files, and resuming wherever a run was cut."""

import errno
import json
import os
import re
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import jaxes
from jaxes import rl
from jaxes.support import keys
from jaxes.training import Interrupted, evaluating, loop, metrics
from jaxes.training.compiling import Compiling

KEY = jax.random.key(0)
START = {"x": jnp.ones(3)}


def run(out=None, strategy=None, problem=None, params=START, **options):
    strategy = strategy or jaxes.open_es(8, 0.1, learning_rate=0.1)
    options = {"progress": False, "key": KEY, **options}
    return list(jaxes.fit(strategy, problem or toys.sphere(), params, out=out, **options))


def score(params, problem_state, key):
    return -jnp.sum(params["x"] ** 2) + 0.0 * jax.random.normal(key, (4,))


def same(a, b):
    bits = lambda x: np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x).tobytes()
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert all(bits(x) == bits(y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def test_stops_after_generations_and_reports_totals():
    reports = run(generations=25)
    assert reports[-1].generation == 25
    assert reports[-1].stopped == "generations"
    assert [r.stopped for r in reports[:-1]] == [None] * (len(reports) - 1)
    assert reports[-1].metrics["steps"] == 25 * 8
    assert reports[-1].info.mean > reports[0].info.mean
    assert float(jnp.sum(reports[-1].params["x"] ** 2)) < 3


def test_stops_after_steps():
    last = run(steps=100)[-1]
    assert last.stopped == "steps"
    assert last.metrics["steps"] >= 100


def test_stops_after_seconds():
    last = run(seconds=0.5)[-1]
    assert last.stopped == "seconds"
    assert last.seconds >= 0.5


def test_the_rank_of_an_evaluation_among_the_members():
    fitness = np.array([3.0, np.nan, 1.0, 2.0])
    rank = lambda *scores: evaluating.summary(np.array(scores), fitness)["evaluation_rank"]
    assert rank(0.0) == 0.25  # above the member that failed
    assert rank(2.5) == 0.75
    assert rank(9.0) == 1.0
    assert rank(np.nan) == 0.0
    assert rank(0.0, 9.0) == (0.25 + 1.0) / 2

    members = jaxes.open_es(8, 0.1, learning_rate=0.1)
    told = run(generations=1, strategy=members, evaluate=score)[-1]
    population = members.ask(members.init(keys.stream(KEY, keys.Stream.STRATEGY), START))
    returns = -np.sum(np.square(population["x"]), axis=1)
    assert told.metrics["evaluation_rank"] == np.mean(returns < told.evaluation)


def test_stops_at_a_target_that_an_evaluation_reaches():
    reports = run(target=-0.5, generations=400, evaluate=score, evaluate_every=5)
    assert reports[-1].stopped == "target"
    assert reports[-1].evaluation >= -0.5
    assert reports[-1].generation % 5 == 0


def test_evaluates_at_its_interval_and_at_the_end():
    reports = run(generations=13, evaluate=score, evaluate_every=5)
    assert [r.generation for r in reports if r.evaluation is not None] == [5, 10, 13]


def lucky(params, problem_state, key):
    """Good on the key of the evaluations and poor on any other, until generation 12 or so."""
    held_out = keys.stream(KEY, keys.Stream.EVALUATION)
    usual = jnp.all(jax.random.key_data(key) == jax.random.key_data(held_out))
    late = jnp.sum(params["x"] ** 2) < 1.0
    return jnp.where(usual, 100.0, jnp.where(late, 60.0, 20.0)) + jnp.zeros(4)


def test_a_target_is_confirmed_on_fresh_episodes(capsys):
    reports = run(target=50.0, generations=400, evaluate=lucky, evaluate_every=5, progress=True)
    evaluated = [r for r in reports if r.evaluation is not None]
    assert [r.evaluation for r in evaluated] == [100.0] * len(evaluated)
    assert [r.confirmation for r in evaluated] == [20.0] * (len(evaluated) - 1) + [60.0]
    assert len(evaluated) > 1 and reports[-1].stopped == "target"
    assert reports[-1].metrics["confirmation"] == 60.0
    end = f"target reached at generation {reports[-1].generation}, score 60 on 16 fresh episodes"
    assert end in capsys.readouterr().err


def test_the_fresh_episodes_of_each_confirmation_are_new():
    seen = []

    def spy(params, state, key):
        seen.append(jax.random.key_data(key).tobytes())
        return jnp.zeros(2)

    problem = toys.sphere()._replace(host=True)  # plays in Python
    run(problem=problem, evaluate=spy, evaluate_every=1, generations=3, target=0.0)
    assert len(seen) == 5 and len(set(seen)) == 5  # it stopped at once: one evaluation, four confirmations


def test_reports_are_regular_where_that_is_asked_for(tmp_path):
    reports = run(tmp_path, generations=np.int64(12), report_every=np.int64(4), chunk_seconds=np.float32(0))
    assert [r.generation for r in reports] == [4, 8, 12]
    assert [row["generation"] for row in metrics.read(tmp_path)] == [4, 8, 12]
    both = run(generations=10, report_every=4, evaluate=score, evaluate_every=5)
    assert [r.generation for r in both] == [4, 5, 8, 10]


def test_ratios_and_speed_are_of_the_time_since_the_last_report():
    problem = toys.sphere()._replace(ratios={"of_both": ("steps", "steps")})
    reports = run(problem=problem, generations=12, report_every=6, chunk_seconds=0.0)
    assert [r.metrics["of_both"] for r in reports] == [1.0, 1.0]
    assert all(r.metrics["steps_per_second"] > 0 for r in reports)


def test_without_a_limit_it_goes_on_until_the_caller_stops():
    for report in jaxes.fit(jaxes.open_es(8, 0.1), toys.sphere(), START, key=KEY, progress=False):
        if report.generation >= 30:
            break
    assert report.stopped is None


def test_the_numbers_are_those_of_a_plain_scan():
    strategy, problem = jaxes.open_es(8, 0.1, learning_rate=0.1), toys.sphere()
    state = strategy.init(keys.stream(KEY, keys.Stream.STRATEGY), START)
    carry = (state, problem.init(keys.stream(KEY, keys.Stream.TASK)))
    expected, _ = jax.jit(lambda c: jax.lax.scan(jaxes.generation(strategy, problem), c, length=17))(carry)
    last = run(strategy=strategy, problem=problem, generations=17)[-1]
    same((last.state, last.problem_state), expected)


@pytest.mark.parametrize("cuts", [(1,), (7, 15), (22,)])
def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path, cuts):
    whole = run(tmp_path / "whole", generations=23)[-1]
    for cut in cuts:
        run(tmp_path / "cut", generations=cut, resume=cut != cuts[0])
    resumed = run(tmp_path / "cut", generations=23, resume=True)[-1]
    same((whole.state, whole.problem_state), (resumed.state, resumed.problem_state))
    assert resumed.seconds > 0


def test_a_resumed_rollout_with_its_normalizer_ends_with_the_same_bits(tmp_path):
    env = toys.chase()
    policy = rl.mlp(env, hidden=(4,))
    make = lambda: {"problem": rl.rollout(env, policy, check_every=5), "params": policy.init(jax.random.key(1))}
    whole = run(tmp_path / "whole", generations=9, **make())[-1]
    run(tmp_path / "cut", generations=4, **make())
    resumed = run(tmp_path / "cut", generations=9, resume=True, **make())[-1]
    same((whole.state, whole.problem_state), (resumed.state, resumed.problem_state))
    assert resumed.metrics["episodes"] == 9 * 8


def test_an_evaluation_of_a_policy_is_what_evaluates_a_run():
    env = toys.chase()
    policy = rl.mlp(env, hidden=(4,))
    make = {"problem": rl.rollout(env, policy, check_every=5), "params": policy.init(jax.random.key(1))}
    held_out = rl.evaluation(env, policy, episodes=3)
    last = run(generations=2, evaluate=held_out, **make)[-1]
    returns = held_out(last.params, last.problem_state.normalizer, keys.stream(KEY, keys.Stream.EVALUATION)).returns
    np.testing.assert_allclose(last.evaluation, np.mean(returns), rtol=1e-6)
    blind = rl.rollout(env, policy, check_every=5, normalize=False)
    assert run(generations=1, evaluate=held_out, **{**make, "problem": blind})[-1].evaluation is not None


def test_the_folder_holds_everything(tmp_path):
    run(tmp_path / "run", generations=12, evaluate=score, evaluate_every=4)
    names = {path.name.split(".")[0] for path in (tmp_path / "run").iterdir()}
    assert {"checkpoints", "metrics", "reward", "events"} <= names
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    wanted = {"generation", "steps", "seconds", "best", "mean", "elites", "evaluation"}
    assert all(wanted <= set(row) for row in rows)
    assert rows[-1]["generation"] == 12
    assert all((row["evaluation"] is not None) == (row["generation"] % 4 == 0) for row in rows)
    picture = (tmp_path / "run/reward.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_rows_after_the_checkpoint_are_made_again(tmp_path):
    run(tmp_path, generations=5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"generation": 99, "seconds": 1.0}) + '\n{"generation": 1')
    run(tmp_path, generations=8, resume=True)
    generations = [row["generation"] for row in metrics.read(tmp_path)]
    assert generations == sorted(set(generations))
    assert generations[-1] == 8


def test_an_interrupt_saves_and_the_run_goes_on_from_there(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", generations=40)[-1]

    def press(self, now):
        if now >= 10:
            os.kill(os.getpid(), signal.SIGINT)
        return 5

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as caught:
        patch.setattr(loop.Run, "_until_stop", press)
        run(tmp_path / "cut", generations=40)
    assert 10 <= caught.value.generation < 40
    assert caught.value.signal_number == signal.SIGINT
    assert str(caught.value).endswith(f"; saved in {tmp_path / 'cut'}: the same call with resume=True goes on")
    resumed = run(tmp_path / "cut", generations=40, resume=True)[-1]
    same(whole.state, resumed.state)


def test_a_run_that_the_caller_leaves_is_saved(tmp_path):
    for report in jaxes.fit(jaxes.open_es(8, 0.1), toys.sphere(), START, key=KEY, out=tmp_path, progress=False):
        if report.generation >= 3:
            break
    rest = run(tmp_path, strategy=jaxes.open_es(8, 0.1), generations=60, resume=True)
    assert rest[0].generation > 3


def test_not_a_number_is_null_in_the_metrics(tmp_path):
    problem = jaxes.problem(lambda x: jnp.nan * jnp.sum(x["x"]))
    last = run(tmp_path, problem=problem, generations=2)[-1]
    assert last.info.invalid == 8
    assert metrics.read(tmp_path)[-1]["best"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 1.0}, "target is a score of evaluate"),
        ({"evaluate_every": 0}, "evaluate_every must be an int of 1 or more, got 0"),
        ({"evaluate_every": 1.5}, "evaluate_every must be an int of 1 or more, got 1.5"),
        ({"report_every": True}, "report_every must be an int of 1 or more, got True"),
        ({"generations": -3}, "generations must be an int of 1 or more, got -3"),
        ({"generations": 2.5}, "generations must be an int of 1 or more, got 2.5"),
        ({"generations": "3"}, "generations must be an int of 1 or more, got '3'"),
        ({"steps": 0}, "steps must be an int of 1 or more, got 0"),
        ({"steps": 1e6}, "steps must be an int of 1 or more, got 1000000.0"),
        ({"seconds": 0}, "seconds must be a number above 0 and finite, got 0"),
        ({"seconds": float("nan")}, "seconds must be a number above 0 and finite, got nan"),
        ({"seconds": True}, "seconds must be a number above 0 and finite, got True"),
        ({"target": float("nan"), "evaluate": score}, "target must be a number that is finite, got nan"),
        ({"target": "5", "evaluate": score}, "target must be a number that is finite, got '5'"),
        ({"chunk_seconds": -1}, "chunk_seconds must be a number of 0 or more that is finite, got -1"),
        ({"checkpoint_seconds": None}, "checkpoint_seconds must be a number of 0 or more, got None"),
        ({"generations": 1, "evaluate": lambda *_: None}, r"evaluate must return float\[episodes\].*got None"),
        ({"generations": 1, "evaluate": lambda *_: jnp.ones((2, 3))}, r"must return float.*got float32\[2, 3\]"),
        ({"generations": 1, "evaluate": lambda *_: jnp.ones(2, complex)}, r"must return float.*got complex64\[2\]"),
        ({"resume": True}, "resume needs out"),
        ({"problem": jaxes.problem(lambda x: x["x"][0]), "steps": 5}, "steps needs a problem that counts them"),
    ],
)
def test_bad_input_is_found_before_any_work(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": 3}, "problem must be a jaxes.Problem or a function of one member, got 3"),
        ({"strategy": "open_es"}, "strategy must be a jaxes.Strategy such as"),
        (
            {"evaluate": 5, "generations": 1},
            "evaluate must be a function of parameters and the problem's state and a key",
        ),
        ({"evaluate": lambda params: 0.0}, r"evaluate must be a function of .* got <lambda>\(params\): too many"),
        ({"problem": lambda x, key: 0.0}, "objective must be a function of one member, got .*missing a required"),
        ({"settings": [1, 2]}, r"settings must be names and values, such as .* got \[1, 2\]"),
        ({"settings": {1: 2}}, r"settings must be names and values, .* got \{1: 2\}"),
        ({"key": 0}, "key must be a typed random key"),
    ],
)
def test_other_things_than_were_asked_for_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        run(**options)


def test_a_report_is_printed_in_a_line(tmp_path):
    (report,) = run(tmp_path, generations=2, report_every=2, evaluate=score)
    said = f"evaluation={report.evaluation:.4g}, stopped='generations', folder='{tmp_path}', ...)"
    assert repr(report).startswith("Report(generation=2, steps=") and repr(report).endswith(said)
    assert report.folder == tmp_path


def test_numbers_of_numpy_are_numbers():
    assert run(generations=np.int64(3), seconds=np.float32(100))[-1].generation == 3


def test_a_function_of_one_member_is_a_problem():
    function = lambda member: -jnp.sum(member["x"] ** 2)
    one, other = (run(problem=p, generations=5)[-1] for p in (function, jaxes.problem(function)))
    same(one.state, other.state)


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path):
    run(tmp_path, generations=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(FileExistsError, match="holds a run already"):
        run(tmp_path, generations=3)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_cannot_be_traced_leaves_nothing_behind(tmp_path, there):
    if there:
        (tmp_path / "run").mkdir()

    def fails(member):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run(tmp_path / "run", problem=fails, generations=2)
    assert [path.name for path in tmp_path.rglob("*")] == ["run"] * there
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="mine"):
        run(tmp_path / "run", problem=fails, generations=2)
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


def test_resuming_what_is_no_run_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run to resume"):
        run(tmp_path, generations=3, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_ended_before_its_first_checkpoint_begins_again(tmp_path):
    whole = run(tmp_path / "whole", generations=9)[-1]
    iterator = jaxes.fit(
        jaxes.open_es(8, 0.1, learning_rate=0.1), toys.sphere(), START, key=KEY, out=tmp_path / "cut", progress=False
    )
    (tmp_path / "cut/metrics.jsonl").write_text('{"generation": 7, "seconds": 1.0}\n')  # of a session that was killed
    del iterator
    resumed = run(tmp_path / "cut", generations=9, resume=True)
    same(whole.state, resumed[-1].state)
    assert [row["generation"] for row in metrics.read(tmp_path / "cut")] == [r.generation for r in resumed]


def test_resuming_at_the_limit_or_the_target_says_so_and_changes_nothing(tmp_path):
    options = {"evaluate": score, "evaluate_every": 1}
    end = run(tmp_path, target=-2.5, generations=30, settings={"try": 1}, **options)[-1]
    assert end.stopped == "target" and end.generation < 20
    held = (tmp_path / "config.json").read_text(), (tmp_path / "metrics.jsonl").read_text()
    for limits, reached in [
        ({"generations": end.generation}, f"its limit of {end.generation} generations"),
        ({"generations": 1}, f"its limit of 1 generations, with {end.generation} already: give a higher one"),
        ({"target": -2.5}, rf"its target of -2.5 \({end.confirmation:.4g} on fresh episodes\): give a higher one"),
        ({"target": -2.6, "generations": 30}, "its target of -2.6"),
    ]:
        with pytest.raises(ValueError, match=f"has reached {reached}"):
            run(tmp_path, **limits, settings={"try": 2}, resume=True, **options)
    assert held == ((tmp_path / "config.json").read_text(), (tmp_path / "metrics.jsonl").read_text())
    more = run(tmp_path, target=0.0, generations=end.generation + 2, resume=True, **options)[-1]
    assert more.stopped == "generations" and more.generation == end.generation + 2
    told = (tmp_path / "metrics.jsonl").read_text()
    for target in (-2.5, more.evaluation):  # the last evaluation reaches it, and was not confirmed
        with pytest.raises(ValueError, match=rf"its target of {target:g} \({more.evaluation:.4g} on fresh episodes\)"):
            run(tmp_path, target=target, generations=30, resume=True, **options)
    assert told == (tmp_path / "metrics.jsonl").read_text()


def test_resuming_with_a_target_that_fresh_episodes_do_not_reach_goes_on(tmp_path):
    options = {"evaluate": lucky, "evaluate_every": 1}
    before = run(tmp_path, generations=2, **options)[-1]
    assert before.evaluation == 100.0 and before.confirmation is None
    after = run(tmp_path, target=50.0, generations=400, resume=True, **options)
    assert after[0].generation == 3 and after[0].confirmation == 20.0
    assert after[-1].stopped == "target" and after[-1].confirmation == 60.0


def test_resuming_with_other_settings_says_what_differs(tmp_path):
    run(tmp_path, generations=3)
    with pytest.raises(
        ValueError, match=r"made with other settings: .*mean\['x'\] is float32\[3\], wanted float32\[4\]"
    ):
        run(tmp_path, params={"x": jnp.ones(4)}, generations=5, resume=True)
    assert run(tmp_path, generations=5, resume=True)[-1].generation == 5


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .* into .*file/run: Not a directory"):
        run(tmp_path / "file/run", generations=1)


def test_a_full_disk_is_found_before_any_work_and_damages_nothing(tmp_path, monkeypatch):
    run(tmp_path, generations=2)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            run(tmp_path, generations=5, resume=True)
    assert not (tmp_path / ".probe").exists()
    assert run(tmp_path, generations=5, resume=True)[-1].generation == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"strategy": jaxes.sep_cma_es(8, 0.1)},
            "strategy is open_es with population_size=8, wanted sep_cma_es with population_size=8",
        ),
        (
            {"strategy": jaxes.open_es(12, 0.1, learning_rate=0.1)},
            "strategy is open_es with population_size=8, wanted open_es with population_size=12",
        ),
        ({"strategy": jaxes.open_es(8, 0.2, learning_rate=0.1)}, r"sigma began as 0\.1, wanted 0\.2"),
        ({"strategy": jaxes.open_es(8, 0.1, learning_rate=0.3)}, r"learning_rate began as 0\.1, wanted 0\.3"),
        ({"key": jax.random.key(7)}, r"key is threefry2x32 \[0, 0\], wanted threefry2x32 \[0, 7\]"),
    ],
)
def test_another_run_does_not_go_on_from_a_folder(tmp_path, options, message):
    run(tmp_path, generations=3)
    with pytest.raises(ValueError, match=message):
        run(tmp_path, generations=5, resume=True, **options)
    moved = {"x": 2 * jnp.ones(3)}  # where it would start does not matter
    assert run(tmp_path, generations=5, resume=True, params=moved)[-1].generation == 5


def test_another_wrapped_strategy_or_sigma_of_each_coordinate_is_another_run(tmp_path):
    wrapped = lambda sigma: jaxes.wrappers.keep_best(jaxes.snes(8, sigma))
    run(tmp_path, wrapped(0.1), generations=3)
    with pytest.raises(ValueError, match=r"sigma\['x'\] began as 0\.1, wanted 0\.3"):
        run(tmp_path, wrapped(0.3), generations=5, resume=True)
    with pytest.raises(ValueError, match=r"keep_best .* of snes .*, wanted snes with population_size=8"):
        run(tmp_path, jaxes.snes(8, 0.1), generations=5, resume=True)
    assert run(tmp_path, wrapped(0.1), generations=5, resume=True)[-1].generation == 5


def test_the_last_line_says_how_much_was_compiling(capsys, monkeypatch):
    wait = Compiling.wait

    def slow(self, *args):
        compiled, self.waited = wait(self, *args), 2.0
        return compiled

    monkeypatch.setattr(Compiling, "wait", slow)
    run(generations=1, progress=True)
    assert re.search(r"done after 1 generation \(\d+ s, 2 s of them compiling\)$", capsys.readouterr().err, re.M)
