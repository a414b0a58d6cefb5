"""A search by SciPy's `minimize` and by Optuna's studies."""

import copy
import pickle

import numpy as np
import pytest
import scipy.optimize as so

import jaxes

optuna = pytest.importorskip("optuna")


def shifted(x):
    return float(np.sum((x - [1.0, -2.0, 3.0][: len(x)]) ** 2))


def scipy(f, x0, sigma=None, method=None, **how):
    return so.minimize(f, x0, method=jaxes.scipy_method(sigma, **(method or {})), **how)


class TestSciPy:
    def test_whole_numbers_beside_a_fixed_coordinate(self):
        f = lambda x: float(np.sum((x - np.array([0.3, 1.6, 2.7])) ** 2))
        bounds = [(1, 1), (-5, 5), (-5, 5)]
        for integer in ([-1], {2}, [False, False, True]):
            result = so.minimize(f, [1, 0, 0], method=jaxes.scipy_method(integer=integer), bounds=bounds)
            np.testing.assert_allclose(result.x, [1, 1.6, 3], atol=1e-4)
        with pytest.raises(ValueError, match="integer must hold places from 0 to 2"):
            so.minimize(f, [1, 0, 0], method=jaxes.scipy_method(integer=[7]), bounds=bounds)
        with pytest.raises(ValueError, match="sigma must be one for all, or one for each number"):
            so.minimize(f, [1, 0, 0], method=jaxes.scipy_method(sigma=[1, 2]), bounds=bounds)

    def test_small_units_and_odd_forms(self):
        small = lambda x: float((x[0] / 2e-12 - 1) ** 2 + (x[1] / 3e-12 - 1) ** 2)
        found = so.minimize(small, [1e-12] * 2, method=jaxes.scipy_method(), bounds=[(0, 1e-11)] * 2)
        assert found.success and found.fun < 1e-9
        fixed = so.minimize(lambda x: np.array([2.5]), [1, 1], method=jaxes.scipy_method(), bounds=[(1, 1), (1, 1)])
        assert fixed.fun == 2.5
        nothing = so.NonlinearConstraint(lambda x: x, -np.inf, np.inf)
        assert so.minimize(so.rosen, [0, 0], method=jaxes.scipy_method(), constraints=nothing).fun < 1e-9
        rows = lambda x: np.sum((x - 1) ** 2, axis=1)
        most = so.LinearConstraint([[1, 1, 1]], ub=2)
        many = so.minimize(rows, [0, 0, 0], method=jaxes.scipy_method(vectorized=True), constraints=most)
        np.testing.assert_allclose(many.x, 2 / 3, atol=1e-3)
        assert so.minimize(so.rosen, [0, 0], method=jaxes.scipy_method(), options={"maxiter": 5.0}).nit == 5

    def test_the_result_is_as_scipys_own(self):
        result = scipy(so.rosen, np.zeros(3), 0.5)
        assert isinstance(result, so.OptimizeResult)
        assert result.success and result.status == 0 and result.fun == so.rosen(result.x) < 1e-10
        assert result.nfev == result.nit * 7 == result.search.nfev and result.message == result.search.message
        np.testing.assert_allclose(result.x, 1, atol=1e-4)

    def test_the_print_has_nothing_twice_and_the_search_is_at_hand(self):
        result = scipy(shifted, np.zeros(2), 0.5)
        assert repr(result).count("fun:") == 1 and "search:" not in repr(result) and "search" in dir(result)
        for copied in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            assert copied.search.fun == result.fun == copied["fun"] and repr(copied) == repr(result)
        method = {"method": jaxes.scipy_method(0.2, budget=60)}
        hops = so.basinhopping(shifted, [0.5, 0.5], niter=1, minimizer_kwargs=method, rng=1)
        assert "Result(" not in repr(hops) and hops.lowest_optimization_result.search.nfev == 60
        fixed = scipy(shifted, [0, 4], bounds=[(0, 0), (4, 4)])
        assert fixed.search is None and "maxcv" not in fixed

    def test_disp_prints_the_table_from_the_start_and_the_end(self, capsys):
        result = scipy(shifted, np.zeros(2), 0.5, options={"disp": True})
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[0] == "nfev" and lines[1].split()[0] == "6" and lines[-1] == result.message
        result = scipy(shifted, np.zeros(2), 0.5, options={"disp": True, "maxiter": 3})
        assert (
            capsys.readouterr().out.splitlines()[-1]
            == result.message
            == "Maximum number of iterations has been exceeded."
        )
        fixed = scipy(shifted, [0, 4], bounds=[(0, 0), (4, 4)], options={"disp": True})
        assert capsys.readouterr().out == f"{fixed.message}\n"
        scipy(shifted, np.zeros(2), 0.5)
        assert capsys.readouterr().out == ""

    def test_where_there_is_no_minimum_it_is_no_success(self):
        assert not scipy(lambda x: x[0], [0.0, 0.0], 1.0).success

    @pytest.mark.parametrize(
        "bounds",
        [
            so.Bounds([-5, -5], [0.5, 5]),
            so.Bounds(-5, [0.5, 5]),
            [(-5, 0.5), (None, 5)],
            np.array([(-5, 0.5), (-5, 5)]),
        ],
        ids=["Bounds", "one lower", "pairs", "array"],
    )
    def test_bounds_are_kept(self, bounds):
        seen = []
        result = scipy(lambda x: seen.append(x) or shifted(x), [0, 0], bounds=bounds)
        np.testing.assert_allclose(result.x, [0.5, -2], atol=1e-4)
        assert np.max(seen, axis=0)[0] <= 0.5 and np.min(seen, axis=0)[0] >= -5

    def test_of_two_coordinates_bounds_are_pairs(self):
        result = scipy(shifted, [0.5, -0.5], bounds=[(0.25, 2.0), (-1.0, 1.0)])
        np.testing.assert_allclose(result.x, [1, -1], atol=1e-4)

    def test_a_coordinate_with_equal_bounds_is_fixed(self):
        seen = []
        bounds, method = [(-5, 5), (4, 4), (-5, 5)], {"integer": [1, 2]}
        result = scipy(lambda x: seen.append(x) or shifted(x), [0, 4, 0], [1, 1, 1], method, bounds=bounds)
        np.testing.assert_allclose(result.x, [1, 4, 3], atol=1e-4)
        assert set(np.array(seen)[:, 1]) == {4.0} and result.x[2] == 3.0
        both = scipy(shifted, [0, 4], bounds=[(0, 0), (4, 4)])
        assert both.success and both.nfev == 1 and both.fun == 37.0 and both.x.tolist() == [0, 4]

    def test_sigma_is_a_quarter_of_the_width_or_of_the_start(self):
        from jaxes.search.doors.scipy_problem import box_of, usual_sigma

        found = usual_sigma(np.array([0.5, 40.0, 0.0]), box_of([(0, 1), (0, None), (None, None)], 3))
        assert found.tolist() == [0.25, 10.0, 0.25]

    def test_a_start_outside_is_moved_with_scipys_warning(self):
        with pytest.warns(so.OptimizeWarning, match="Initial guess is not within the specified bounds"):
            result = scipy(shifted, [9.0, 0.0], bounds=[(0, 5), (-5, 5)])
        np.testing.assert_allclose(result.x, [1, -2], atol=1e-4)

    def test_args_options_and_tol(self):
        f = lambda x, a, b: (x[0] - a) ** 2 + b
        result = scipy(f, [0.0], 0.5, args=(2, 3), tol=1e-3, options={"seed": 4, "population_size": 10})
        assert abs(result.x[0] - 2) < 1e-2 and result.nfev == 10 * result.nit < 400
        finer = scipy(f, [0.0], 0.5, args=(2, 3), options={"xatol": 1e-9, "fatol": 1e-13, "seed": 4})
        assert abs(finer.x[0] - 2) < 1e-6

    def test_limits_are_no_success(self):
        result = scipy(so.rosen, np.zeros(2), 0.5, options={"maxfev": 60})
        assert (result.success, result.status, result.nfev) == (False, 1, 60)
        result = scipy(so.rosen, np.zeros(2), 0.5, options={"maxiter": 5})
        assert (result.success, result.status, result.nit) == (False, 2, 5)
        assert result.message == "Maximum number of iterations has been exceeded."
        assert scipy(so.rosen, np.zeros(2), 0.5, options={"f_target": 1e-3}).success

    @pytest.mark.parametrize("by_name", [False, True])
    def test_callbacks_of_both_kinds(self, by_name):
        seen = []

        def at_most_seven(x, fun=None):
            seen.append((x, fun))
            if len(seen) == 7:
                raise StopIteration

        by_result = lambda intermediate_result: at_most_seven(intermediate_result.x, intermediate_result.fun)
        result = scipy(shifted, np.zeros(2), 1.0, callback=by_result if by_name else lambda xk: at_most_seven(xk))
        assert (result.success, result.status, result.nit) == (False, 99, 7)
        assert result.message == "`callback` raised `StopIteration`."
        assert seen[-1][0].tolist() == result.x.tolist()
        if by_name:
            assert all(fun == shifted(x) for x, fun in seen)

    @pytest.mark.parametrize(
        "constraints",
        [
            [
                {"type": "ineq", "fun": lambda x, a: x[0] - a * x[1] + 2, "args": (2,)},
                {"type": "ineq", "fun": lambda x: [-x[0] - 2 * x[1] + 6, -x[0] + 2 * x[1] + 2]},
            ],
            so.LinearConstraint([[1, -2], [-1, -2], [-1, 2]], [-2, -6, -2]),
            [
                so.NonlinearConstraint(lambda x: x[0] - 2 * x[1], -2, 9),
                so.LinearConstraint([[1, 2], [1, -2]], -np.inf, [6, 2]),
            ],
        ],
        ids=["dictionaries", "linear", "both"],
    )
    def test_constraints(self, constraints):
        """The example of SciPy's documentation."""
        f = lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2
        bounds = [(0, None), (0, None), (7, 7)]
        wider = lambda x: f(x[:2])
        result = scipy(f, (2, 0), bounds=bounds[:2], constraints=constraints)
        assert result.success and result.maxcv == 0.0
        np.testing.assert_allclose(result.x, [1.4, 1.7], atol=1e-4)
        if isinstance(constraints, list) and isinstance(constraints[0], dict):
            fixed = scipy(wider, (2, 0, 7), bounds=bounds, constraints=constraints)
            np.testing.assert_allclose(fixed.x, [1.4, 1.7, 7], atol=1e-4)

    @pytest.mark.parametrize(
        "constraint",
        [{"type": "eq", "fun": lambda x: x @ x - 2}, so.NonlinearConstraint(lambda x: x @ x, 2, 2)],
        ids=["dictionary", "nonlinear"],
    )
    def test_equalities(self, constraint):
        result = scipy(so.rosen, np.full(3, 0.5), 0.5, constraints=constraint)
        assert result.success and abs(result.x @ result.x - 2) <= 1e-6
        np.testing.assert_allclose(result.x, [0.911877, 0.831475, 0.690747], atol=1e-4)  # SLSQP's
        plane = so.LinearConstraint(np.ones((1, 3)), 3, 3)
        np.testing.assert_allclose(
            scipy(shifted, np.zeros(3), 1.0, constraints=plane).x, [4 / 3, -5 / 3, 10 / 3], atol=1e-4
        )

    def test_constraints_that_cannot_be_met_are_no_success(self):
        never = [so.NonlinearConstraint(lambda x: x[0], -np.inf, -1), so.NonlinearConstraint(lambda x: x[0], 1, np.inf)]
        result = scipy(shifted, [0.0, 0.0], 0.5, constraints=never, options={"maxiter": 400})
        assert not result.success and result.maxcv >= 1
        both = scipy(shifted, [0, 4], bounds=[(0, 0), (4, 4)], constraints=never[0])
        assert (both.success, both.maxcv, both.status) == (False, 1.0, 4)

    def test_what_is_not_used_warns_as_scipy_does(self):
        with pytest.warns(so.OptimizeWarning, match="Unknown solver options: gtol, nothing"):
            scipy(shifted, [0.0], 1.0, options={"gtol": 1e-3, "nothing": 1})
        with pytest.warns(RuntimeWarning, match="does not use gradient information"):
            scipy(so.rosen, np.zeros(2), 0.5, jac=so.rosen_der)

    def test_all_candidates_at_once(self):
        f = lambda x: np.sum((x - [1, -2, 3]) ** 2, axis=-1)
        result = scipy(f, np.zeros(3), 1.0, {"vectorized": True}, bounds=[(-5, 5), (0, 0), (-5, 5)])
        np.testing.assert_allclose(result.x, [1, 0, 3], atol=1e-4)

    @pytest.mark.parametrize(
        "given, error, message",
        [
            ({"bounds": [(0, 1)]}, ValueError, "2 pairs .* one for each number of x0, got 1"),
            ({"bounds": [(0, 1), 3]}, ValueError, "number 1 is 3"),
            ({"bounds": [(0, 1), ("a", 2)]}, TypeError, "number 1 has 'a'"),
            ({"bounds": 3}, TypeError, "bounds must be scipy.optimize.Bounds or 2 pairs .* got 3"),
            ({"bounds": [(0, 1), (2, 1)]}, ValueError, "bounds must rise, got 2 to 1 for coordinate 1"),
            ({"bounds": so.Bounds([0, 0, 0], [1, 1, 1])}, ValueError, "bounds must have 2 lower"),
            ({"bounds": [(0, 1), (np.nan, 1)]}, ValueError, "bounds must not be NaN"),
            ({"options": {"maxiter": 0}}, ValueError, "maxiter must be an int of 1 or more"),
            ({"constraints": [{"type": "less"}]}, ValueError, "needs 'type': 'eq' or 'ineq', and 'fun'"),
            ({"constraints": [3]}, TypeError, "constraints must be LinearConstraint"),
        ],
    )
    def test_what_is_refused(self, given, error, message):
        with pytest.raises(error, match=message):
            scipy(shifted, [0.5, 0.5], 0.5, **given)

    def test_a_function_with_its_gradient_and_a_method_of_basinhopping(self):
        both = lambda x: (so.rosen(x), so.rosen_der(x))
        with pytest.warns(RuntimeWarning, match="does not use gradient information"):
            assert scipy(both, np.zeros(2), 0.5, jac=True).fun < 1e-10
        method = {"method": jaxes.scipy_method(0.2, budget=300)}
        waves = lambda x: x[0] ** 2 / 20 + np.cos(3 * x[0])
        found = so.basinhopping(waves, [3.5], niter=10, stepsize=2.0, minimizer_kwargs=method, rng=1)
        assert abs(abs(found.x[0]) - 1.0356) < 1e-2

    def test_what_scipy_takes_is_no_setting(self):
        with pytest.raises(TypeError, match=r"method must be jaxes.scipy_method\(\), with parentheses"):
            so.minimize(shifted, [0.0], method=jaxes.scipy_method)
        with pytest.raises(TypeError, match=r"bounds is given to scipy.optimize.minimize, not to scipy_method"):
            jaxes.scipy_method(0.5, bounds=(0, 1))


def quiet(**how):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(**how)


def sphere(trial):
    return sum((trial.suggest_float(f"x{i}", -5, 5) - 1.3) ** 2 for i in range(4))


def every_kind(trial):
    a, b = trial.suggest_float("a", -5, 5), trial.suggest_float("b", 1e-4, 10, log=True)
    c, d = trial.suggest_int("c", -10, 10), trial.suggest_int("d", 0, 100, step=5)
    e, g = trial.suggest_float("e", 0, 2, step=0.25), trial.suggest_int("g", 1, 1000, log=True)
    word = trial.suggest_categorical("word", ["x", "y"])
    real = (a - 2) ** 2 + (np.log10(b) + 1) ** 2 + np.log10(g / 50) ** 2
    return real + (c - 7) ** 2 + (d / 5 - 4) ** 2 + (4 * e - 2) ** 2 + (word == "x")


class TestOptuna:
    def test_every_kind_of_parameter(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=1))
        study.optimize(every_kind, n_trials=300)
        best = study.best_params
        assert (best["c"], best["d"], best["e"], best["word"]) == (7, 20, 0.5, "y")
        assert study.best_value < 0.25
        assert all(isinstance(best[name], int) for name in ("c", "d", "g"))

    def test_the_optimum_in_a_corner(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=1))
        study.optimize(lambda t: t.suggest_float("a", 2, 5) ** 2 + t.suggest_int("k", 0, 9), n_trials=80)
        assert study.best_params["k"] == 0 and study.best_params["a"] < 2.001

    def test_the_same_seed_gives_the_same_trials(self):
        values = []
        for seed in (3, 3, 4):
            study = quiet(sampler=jaxes.optuna_sampler(seed=seed))
            study.optimize(sphere, n_trials=30)
            values.append([trial.value for trial in study.trials])
        assert values[0] == values[1] != values[2]

    def test_maximize_is_the_mirror_of_minimize(self):
        down, up = (quiet(direction=way, sampler=jaxes.optuna_sampler(seed=2)) for way in ("minimize", "maximize"))
        down.optimize(sphere, n_trials=50)
        up.optimize(lambda trial: -sphere(trial), n_trials=50)
        assert [trial.params for trial in up.trials] == [trial.params for trial in down.trials]

    @pytest.mark.parametrize("kind", ["sqlite", "journal"])
    def test_a_study_goes_on_from_its_storage(self, kind, tmp_path):
        def run(name, trials):
            if kind == "sqlite":
                storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / name}")
            else:
                file = optuna.storages.journal.JournalFileBackend(str(tmp_path / name))
                storage = optuna.storages.JournalStorage(file)
            sampler = jaxes.optuna_sampler(0.2, seed=5)
            study = quiet(storage=storage, study_name="s", load_if_exists=True, sampler=sampler)
            study.optimize(sphere, n_trials=trials)
            found = [trial.params for trial in study.trials]
            if kind == "sqlite":
                storage.remove_session()
                storage.engine.dispose()
            return found

        whole = run("whole", 25)
        run("cut", 13)
        assert run("cut", 12) == whole

    def test_a_sampler_is_pickled(self):
        sampler = pickle.loads(pickle.dumps(jaxes.optuna_sampler(seed=3)))
        study = quiet(sampler=sampler)
        study.optimize(sphere, n_trials=20)
        study.sampler = pickle.loads(pickle.dumps(sampler))
        study.optimize(sphere, n_trials=180)
        assert study.best_value < 0.01

    def test_trials_at_the_same_time_are_members_of_their_own(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=0, population_size=6))
        study.optimize(sphere, n_trials=1)
        names = [f"x{i}" for i in range(4)]
        space = study.trials[0].distributions
        for _ in range(30):
            trials = [study.ask(space) for _ in range(9)]
            assert len({tuple(trial.params[name] for name in names) for trial in trials}) == 9
            for trial in reversed(trials):
                study.tell(trial, sum((trial.params[name] - 1.3) ** 2 for name in names))
        assert study.best_value < 0.05
        study = quiet(sampler=jaxes.optuna_sampler(seed=0))
        study.optimize(sphere, n_trials=200, n_jobs=3)
        assert study.best_value < 0.05

    def test_failed_pruned_and_lost_trials(self):
        def f(trial):
            value = sphere(trial)
            if trial.number % 10 == 3:
                raise ValueError("no value")
            if trial.number % 10 == 5:
                return float("nan")
            trial.report(value, 1)
            if trial.number % 10 == 7:
                raise optuna.TrialPruned
            return value

        best = []
        for seed in range(3):
            study = quiet(sampler=jaxes.optuna_sampler(seed=seed))
            study.optimize(f, n_trials=100, catch=(ValueError,))
            for _ in range(3):
                sphere(study.ask())  # and never told
            study.optimize(f, n_trials=150, catch=(ValueError,))
            best.append(study.best_value)
        assert np.median(best) < 0.1

    def test_pruned_ones_rank_behind_and_the_later_the_better(self):
        from jaxes.search.doors.optuna_space import Space
        from jaxes.search.doors.optuna_trials import _costs, _Search

        state, values = optuna.trial.TrialState, [3.0, 1.0, None, None, None, None]
        states = [state.COMPLETE, state.COMPLETE, state.PRUNED, state.PRUNED, state.FAIL, state.RUNNING]
        reports = [{}, {}, {2: 0.5}, {5: 0.7}, {}, {}]
        trials = {
            i: optuna.trial.FrozenTrial(i, s, v, None, None, {}, {}, {}, {}, r, i)
            for i, (s, v, r) in enumerate(zip(states, values, reports, strict=True))
        }
        space = Space({"x": optuna.distributions.FloatDistribution(0, 1)})
        search = _Search(jaxes.ESOpt([0.5], 0.01, 6, minimize=True, strategy="cma_es"), 0, 0, 6)
        costs = _costs(search, space, trials, optuna.study.StudyDirection.MINIMIZE)
        assert costs[:4].tolist() == [3.0, 1.0, 9.0, 6.0] and np.isnan(costs[4:]).all()

    def test_trials_that_are_given_their_parameters(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=0))
        for _ in range(10):
            study.enqueue_trial({f"x{i}": -4.0 for i in range(4)})
        study.enqueue_trial({"x0": 2.0})
        study.optimize(sphere, n_trials=200)
        assert study.trials[10].params["x0"] == 2.0 and study.best_value < 0.02

    def test_parameters_that_some_trials_lack(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=0))

        def f(trial):
            value = (trial.suggest_float("x", -5, 5) - 1) ** 2
            if trial.suggest_categorical("more", [True, False]):
                value += trial.suggest_float("y", 0, 1)
            return value

        study.optimize(f, n_trials=80)
        assert study.best_value < 0.3

    def test_a_search_that_can_gain_no_more_begins_anew_with_twice_the_trials(self):
        study = quiet(sampler=jaxes.optuna_sampler(seed=0))
        study.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2, n_trials=250)
        sizes = {}
        for trial in study.trials:
            for name, place in trial.system_attrs.items():
                if name.endswith(":place"):
                    sizes[place[0]] = max(sizes.get(place[0], 0), place[1] + 1)
        assert sizes[0] == 4 and 8 in sizes.values()

    def test_what_is_refused(self):
        study = quiet(directions=["minimize", "minimize"], sampler=jaxes.optuna_sampler())
        with pytest.raises(ValueError, match="one objective, got a study of 2"):
            study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)

    @pytest.mark.parametrize(
        "given, error, message",
        [
            ({"sigma": -1}, ValueError, "sigma must be above 0"),
            ({"strategy": "cma"}, ValueError, "unknown strategy"),
            ({"independent_sampler": "tpe"}, TypeError, "independent_sampler must be an Optuna sampler"),
            ({"seed": -1}, ValueError, "seed must be an int"),
            ({"population_size": 1}, ValueError, "population_size must be 2 or more"),
            ({"population_size": 5, "strategy": "open_es"}, ValueError, "population_size must be even"),
            ({"n_startup_trials": 1.5}, ValueError, "n_startup_trials must be an int"),
            ({"restarts": "ipop"}, TypeError, "restarts must be True or False, got 'ipop'"),
            ({"sigma0": 0.1}, TypeError, "sigma0 is no argument of optuna_sampler: use sigma="),
            ({"popsize": 3}, TypeError, "popsize is no argument of optuna_sampler: use population_size="),
            ({"restart_strategy": "ipop"}, TypeError, "use restarts=True or False"),
            ({"bounds": (0, 1)}, TypeError, "use the ranges that trials give"),
            ({"lr_adapt": True}, TypeError, "there is no such adaptation"),
            ({"integers": [0]}, TypeError, r"use trial.suggest_int"),
            ({"sede": 3}, TypeError, "no option of cma_es; did you mean seed"),
            ({"nothing": 3}, TypeError, "no option of cma_es: cma_es has .*active"),
            ({"c_m": -1.0}, ValueError, "c_m"),
            ({"x0": [0.0, 1.0]}, TypeError, "x0 must be a dict of parameters' names"),
            ({"x0": {"a": float("nan")}}, ValueError, r"x0\['a'\] must be finite"),
            ({"x0": {"a": [1.0]}}, TypeError, r"x0\['a'\] must be a value of the parameter a"),
        ],
    )
    def test_what_is_refused_when_it_is_made(self, given, error, message):
        with pytest.raises(error, match=message):
            jaxes.optuna_sampler(**given)

    def test_a_repr_that_makes_the_same_sampler(self):
        assert repr(jaxes.optuna_sampler(np.array([0.5]))) == "optuna_sampler(strategy=cma_es, sigma=0.5, seed=None)"
        assert repr(jaxes.optuna_sampler()) == "optuna_sampler(strategy=cma_es, seed=None)"
        given = {"x0": {"a": 1}, "strategy": jaxes.sep_cma_es, "n_startup_trials": 3, "seed": 0, "c_c": 0.5}
        told = "optuna_sampler(strategy=sep_cma_es, sigma=0.2, x0={'a': 1}, n_startup_trials=3, seed=0, c_c=0.5)"
        assert repr(jaxes.optuna_sampler(0.2, **given)) == told
        assert repr(pickle.loads(pickle.dumps(jaxes.optuna_sampler(0.2, **given)))) == told

    def test_where_it_starts(self):
        x0 = {"a": 2.0, "b": 0.1, "c": 7, "d": 20, "e": 0.5, "g": 50, "word": "y"}
        study = quiet(sampler=jaxes.optuna_sampler(1e-6, x0=x0, seed=0, n_startup_trials=3))
        study.optimize(every_kind, n_trials=5)
        named = lambda trial: {name: value for name, value in trial.params.items() if name != "word"}
        wanted = {name: value for name, value in x0.items() if name != "word"}
        assert named(study.trials[3]) == pytest.approx(wanted, rel=1e-3) != named(study.trials[2])
        middle = quiet(sampler=jaxes.optuna_sampler(1e-6, x0={"x1": 4.0}, seed=0))
        middle.optimize(sphere, n_trials=2)
        assert middle.trials[1].params == pytest.approx({"x0": 0, "x1": 4, "x2": 0, "x3": 0}, abs=1e-3)
        for value, error, message in [
            (9.0, ValueError, r"x0\['x0'\] must lie in the parameter's range, -5 to 5, got 9"),
            ("a", TypeError, r"x0\['x0'\] must be a number, got 'a'"),
        ]:
            with pytest.raises(error, match=message):
                quiet(sampler=jaxes.optuna_sampler(x0={"x0": value})).optimize(sphere, n_trials=2)
        with pytest.warns(UserWarning, match="x0 names y, which no trial has had so far; they have x0, x1, x2, x3"):
            quiet(sampler=jaxes.optuna_sampler(x0={"y": 1.0})).optimize(sphere, n_trials=2)

    def test_one_sampler_serves_several_studies(self, tmp_path):
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'studies'}")
        sampler = jaxes.optuna_sampler(seed=0)
        plane = lambda trial: trial.suggest_float("u", -1, 1) ** 2 + trial.suggest_int("v", 0, 9)
        studies = [quiet(storage=storage, sampler=sampler), quiet(storage=storage, sampler=sampler)]
        studies += [quiet(sampler=sampler), quiet(sampler=sampler)]
        for _ in range(2):  # by turns
            for study, f in zip(studies, [sphere, plane, sphere, plane], strict=True):
                study.optimize(f, n_trials=15)
        for study, names in zip(studies, ["x0 x1 x2 x3", "u v"] * 2, strict=True):
            assert all(list(trial.params) == names.split() for trial in study.trials)
            placed = [trial for trial in study.trials if any(name.endswith(":place") for name in trial.system_attrs)]
            assert len(placed) == 29  # all but the first are members of a generation
        storage.remove_session()
        storage.engine.dispose()

    @pytest.mark.parametrize("strategy", ["open_es", "sv_cma_es"])
    def test_a_usual_population_is_one_that_the_strategy_takes(self, strategy):
        study = quiet(sampler=jaxes.optuna_sampler(strategy=strategy, seed=0))
        study.optimize(lambda t: t.suggest_float("a", -1, 1) ** 2 + t.suggest_float("b", -1, 1) ** 2, n_trials=12)
        assert study.best_value < 0.5

    @pytest.mark.parametrize("name", ["sphere", "Rosenbrock", "whole and real", "few values"])
    def test_beside_optunas_own(self, name):
        """Medians of 15 seeds; of few values means, since some searches end at wrong ones."""
        pytest.importorskip("cmaes")

        def rosenbrock(trial):
            return so.rosen(np.array([trial.suggest_float(f"x{i}", -2, 2) for i in range(3)]))

        def mixed(trial):
            real = [trial.suggest_float(name, -5, 5) for name in "ab"]
            whole = [trial.suggest_int(name, 0, 20) for name in "cd"]
            return sum((x - 2) ** 2 for x in real) + (whole[0] - 17) ** 2 + (whole[1] - 4) ** 2

        def few(trial):
            real = [trial.suggest_float(name, -1, 1) for name in "ab"]
            whole = [trial.suggest_int(name, 0, 3) for name in "cdef"]
            return real[0] ** 2 + 10 * real[1] ** 2 + sum((k - i % 3) ** 2 for i, k in enumerate(whole))

        f = {"sphere": sphere, "Rosenbrock": rosenbrock, "whole and real": mixed, "few values": few}[name]

        middle = np.mean if name == "few values" else np.median

        def found(sampler):
            best = []
            for seed in range(15):
                study = quiet(sampler=sampler(seed=seed))
                study.optimize(f, n_trials=150)
                best.append(study.best_value)
            return middle(best)

        assert found(jaxes.optuna_sampler) <= 1.1 * found(optuna.samplers.CmaEsSampler)
