"""The sampler: which trial is which member of a generation, and a generation told when its trials have ended."""

import base64
import copy
import hashlib
import inspect
import json
import math
import pickle
import secrets
import threading
import warnings
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from jaxes.search.arguments.doubles import factory_of, positive
from jaxes.search.doors import optuna_arguments as arguments
from jaxes.search.doors.optuna_door import optuna_sampler
from jaxes.search.doors.optuna_space import Space
from jaxes.search.esopt import ESOpt
from jaxes.search.running.history import History

_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(optuna_sampler).parameters.items()
    if parameter.kind is not parameter.VAR_KEYWORD
}
_LONGEST = 2000  # characters of an attribute: databases that Optuna set up long ago hold no more
_PENALTY = 3.0  # ranks that a member loses for each squared deviation that it lies outside
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class _Search:
    """A search, and the generation that it has asked for."""

    def __init__(self, opt: ESOpt, generation: int, run: int, size: int):
        self.opt, self.generation, self.run, self.size = opt, generation, run, size
        self.token = secrets.token_hex(4)  # tells it from one that another process has made at the same time
        self.members: np.ndarray = opt.ask()  # float64[size, n]

    def __getstate__(self) -> dict[str, Any]:
        opt = copy.copy(self.opt)
        opt._history = History(self.members.shape[1])  # which would grow, and the study tells it
        return {**self.__dict__, "opt": opt}

    def further(self, number: int) -> np.ndarray:
        """A draw beyond the members, with their mean and covariance, the same one for the same number: float64[n]."""
        mean = self.members.mean(axis=0)
        weights = np.random.default_rng([self.generation, number]).normal(size=self.size) / math.sqrt(self.size - 1)
        return mean + weights @ (self.members - mean)


class _OfStudy:
    """What the sampler remembers of a study."""

    def __init__(self):
        self.common = IntersectionSearchSpace()
        self.known: tuple[str, _Search] | None = None


class Sampler(BaseSampler):
    """See `jaxes.optuna_sampler`."""

    def __init__(
        self,
        *,
        sigma: float,
        x0: Mapping[str, Any] | None,
        population_size: int | None,
        strategy: Any,
        restarts: bool,
        n_startup_trials: int,
        independent_sampler: BaseSampler | None,
        seed: int | None,
        options: dict[str, Any],
    ):
        arguments.check(sigma, x0, population_size, strategy, restarts, n_startup_trials, seed)
        sigma = positive("sigma", sigma)
        arguments.check_options(options, strategy, population_size, sigma, tuple(_DEFAULTS))
        if independent_sampler is not None and not isinstance(independent_sampler, BaseSampler):
            raise TypeError(f"independent_sampler must be an Optuna sampler, got {independent_sampler!r}")
        given = {
            "sigma": sigma,
            "x0": x0,
            "population_size": population_size,
            "strategy": strategy,
            "restarts": restarts,
            "n_startup_trials": n_startup_trials,
            "independent_sampler": independent_sampler,
            "seed": seed,
        }
        self._told = _told(given, options)
        self._sigma, self._x0 = sigma, dict(x0 or {})
        self._population_size, self._strategy, self._options = population_size, strategy, options
        self._restarts, self._startup = restarts, max(1, n_startup_trials)
        self._seed = secrets.randbelow(2**31) if seed is None else seed
        self._independent = independent_sampler or TPESampler(seed=seed)
        self._forget()

    def _forget(self) -> None:
        self._studies: weakref.WeakKeyDictionary[Study, _OfStudy] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_studies")}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._forget()

    def __repr__(self) -> str:
        return self._told

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with self._lock:
            common = self._of(study).common.calculate(study)
        coordinates = Space(common).coordinates
        return {name: distribution for name, distribution in common.items() if name in coordinates}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        _check(study)
        space = Space(search_space)
        trials = study.get_trials(deepcopy=False)
        completed = sum(other.state == TrialState.COMPLETE for other in trials)
        if not space.coordinates or completed < self._startup:
            return {}
        kept = _Kept(study, trial, search_space)
        with self._lock:
            seen = self._of(study)
            search = self._current(space, kept, trials, seen)
            places = list(kept.of_generation(search.generation, trials))
            ours = _by_member(search, space, places)
            if _has_ended(search, ours, places):
                search = self._next(space, search, _costs(search, space, ours, study.direction))
                kept.save(search)
                places, ours = [], {}
            seen.known = kept.label, search
            fixed = set(trial.system_attrs.get("fixed_params", ())) & set(search_space)
            free = [i for i in range(search.size) if i not in ours]
            if fixed or not free:
                member = search.size + len(places)
                point = search.further(member)
            else:
                member = free[0]
                point = search.members[member]
            kept.place(search.generation, member)
        return space.parameters(point)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        _check(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._independent.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._independent.after_trial(study, trial, state, values)

    def _of(self, study: Study) -> "_OfStudy":
        return self._studies.setdefault(study, _OfStudy())

    def _current(self, space: Space, kept: "_Kept", trials: list[FrozenTrial], seen: "_OfStudy") -> _Search:
        """The search as far as it has come: here, or in another process that has left it in the study."""
        holder = kept.holder(trials)
        if holder is None:
            search = self._begun(space, 0, 0, self._size(space), self._start(space, trials))
            kept.save(search)
            return search
        if seen.known is not None and seen.known[0] == kept.label and kept.holds(holder, seen.known[1]):
            return seen.known[1]
        return kept.load(holder)

    def _size(self, space: Space) -> int:
        if self._population_size is not None:
            return self._population_size
        return arguments.usual_size(len(space.high), factory_of(self._strategy), self._sigma, self._options)

    def _start(self, space: Space, trials: list[FrozenTrial]) -> np.ndarray:
        """Where the first search begins: float64[n]; warns of what is in `x0` and in no trial."""
        names = set().union(*(other.distributions for other in trials))
        if unknown := [name for name in self._x0 if name not in names]:
            warnings.warn(
                f"x0 names {', '.join(unknown)}, which no trial has had so far; they have {', '.join(sorted(names))}",
                stacklevel=2,
            )
        return space.point(self._x0)

    def _begun(self, space: Space, generation: int, run: int, size: int, start: np.ndarray) -> _Search:
        opt = ESOpt(
            start,
            space.deviations(self._sigma),
            size,
            maximize=False,
            strategy=self._strategy,
            integer=space.whole if space.whole.any() else None,
            seed=(self._seed + run) % 2**31,
            **self._options,
        )
        return _Search(opt, generation, run, size)

    def _next(self, space: Space, search: _Search, costs: np.ndarray) -> _Search:
        search.opt.tell(costs)
        if self._restarts and search.opt.stop():
            run = search.run + 1
            start = np.random.default_rng([self._seed, run]).uniform(0, space.high)
            return self._begun(space, search.generation + 1, run, 2 * search.size, start)
        return _Search(search.opt, search.generation + 1, search.run, search.size)


class _Kept:
    """What the study keeps of a search: attributes of trials, under the parameters that it searches."""

    def __init__(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]):
        described = json.dumps({name: distribution_to_json(one) for name, one in sorted(search_space.items())})
        self.label = f"jaxes:{hashlib.sha256(described.encode()).hexdigest()[:12]}"
        self._set = lambda name, value: study._storage.set_trial_system_attr(trial._trial_id, name, value)

    def place(self, generation: int, member: int) -> None:
        self._set(f"{self.label}:place", [generation, member])

    def of_generation(self, generation: int, trials: list[FrozenTrial]) -> Iterator[tuple[int, FrozenTrial]]:
        """The trials of a generation, each with the number of its member."""
        for trial in trials:
            place = trial.system_attrs.get(f"{self.label}:place")
            if place is not None and place[0] == generation:
                yield place[1], trial

    def holder(self, trials: list[FrozenTrial]) -> FrozenTrial | None:
        """The trial that keeps the newest search, the first one of several; None before there is any."""
        holders = [trial for trial in trials if f"{self.label}:kept" in trial.system_attrs]
        return max(holders, key=lambda trial: trial.system_attrs[f"{self.label}:kept"][0], default=None)

    def holds(self, holder: FrozenTrial, search: _Search) -> bool:
        return holder.system_attrs[f"{self.label}:kept"][:2] == [search.generation, search.token]

    def save(self, search: _Search) -> None:
        text = base64.b85encode(zlib.compress(pickle.dumps(search))).decode()
        parts = [text[i : i + _LONGEST] for i in range(0, len(text), _LONGEST)]
        for i, part in enumerate(parts):
            self._set(f"{self.label}:search:{i}", part)
        # Last, for a reader in another process: what it finds is complete.
        self._set(f"{self.label}:kept", [search.generation, search.token, len(parts)])

    def load(self, holder: FrozenTrial) -> _Search:
        count = holder.system_attrs[f"{self.label}:kept"][2]
        text = "".join(holder.system_attrs[f"{self.label}:search:{i}"] for i in range(count))
        return pickle.loads(zlib.decompress(base64.b85decode(text)))


def _told(given: dict[str, Any], options: dict[str, Any]) -> str:
    """The call that makes the sampler, without what is as usual."""
    strategy = given["strategy"]
    name = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", repr(strategy))
    parts = {name: value for name, value in given.items() if name == "seed" or value != _DEFAULTS[name]}
    words = [f"{key}={value!r}" for key, value in (parts | options).items() if key != "strategy"]
    return f"optuna_sampler({', '.join([f'strategy={name}', *words])})"


def _check(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(f"jaxes.optuna_sampler searches one objective, got a study of {len(study.directions)}")


def _by_member(search: _Search, space: Space, places: list[tuple[int, FrozenTrial]]) -> dict[int, FrozenTrial]:
    """The trial of each member: of several the first that has ended; none that was told other parameters."""
    found: dict[int, FrozenTrial] = {}
    for member, trial in places:
        if member >= search.size or (member in found and found[member].state in _ENDED):
            continue
        wanted = space.parameters(search.members[member])
        if all(math.isclose(trial.params.get(name, value), value, rel_tol=1e-9) for name, value in wanted.items()):
            found[member] = trial
    return found


def _has_ended(search: _Search, ours: dict[int, FrozenTrial], places: list[tuple[int, FrozenTrial]]) -> bool:
    """Whether all members have been evaluated, or those that have not are given up."""
    waiting = [i for i in range(search.size) if i not in ours or ours[i].state not in _ENDED]
    further = sum(trial.state in _ENDED for member, trial in places if member >= search.size)
    return not waiting or further >= search.size


def _costs(search: _Search, space: Space, ours: dict[int, FrozenTrial], direction: StudyDirection) -> np.ndarray:
    """What the members are told: the values of their trials, in the order of rank and distance; NaN without. [size]

    A member outside of the box is evaluated at the nearest point in it, and loses ranks by how far it lies outside.
    Mirrored at the bounds instead, a search whose mean is near one would see every optimum twice.
    """
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    completed, pruned = {}, {}
    for member, trial in ours.items():
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            completed[member] = sign * trial.value
        elif trial.state == TrialState.PRUNED:
            step, value = max(trial.intermediate_values.items(), default=(-1, math.nan))
            pruned[member] = -step, math.inf if math.isnan(value) else sign * value
    worst = max((value for value in completed.values() if math.isfinite(value)), default=0.0)
    values = np.full(search.size, np.nan)
    values[list(completed)] = list(completed.values())
    for place, member in enumerate(sorted(pruned, key=pruned.__getitem__)):
        values[member] = worst + (1 + place) * max(1.0, abs(worst))
    known = np.flatnonzero(~np.isnan(values))
    rank = np.array([np.mean(np.flatnonzero(np.sort(values[known]) == value)) for value in values[known]])
    deviations = np.maximum(search.members.std(axis=0), 1e-300)
    far = np.minimum(space.outside(search.members[known]) / deviations, 1e6)
    order = np.argsort(rank + _PENALTY * np.sum(far**2, axis=1), kind="stable")
    values[known[order]] = np.sort(values[known])
    return values
