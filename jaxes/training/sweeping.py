"""Many runs at once: every combination of some numbers of a strategy, with several seeds, in one compiled program.

A strategy's numbers are leaves of its state, and so are the parameters and the normalizer of a run. The runs of a sweep
are therefore one state with an axis in front, and `jax.vmap` makes of a generation the generation of all of them.
"""

import dataclasses
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxes import rl
from jaxes.problem import generation
from jaxes.strategy import Strategy
from jaxes.support import checks, keys, words
from jaxes.support.keys import Stream
from jaxes.support.numerals import plain
from jaxes.support.progress import Progress
from jaxes.training import about
from jaxes.training import config as settings_of
from jaxes.training.compiling import Compiling, computed
from jaxes.training.config import Config
from jaxes.training.evaluating import scoring
from jaxes.training.interruption import Interruption
from jaxes.training.limits import Limits
from jaxes.training.train import Parts, build, file_name

NAME = "sweep.json"

POINTS = 10
"""How many evaluations a sweep has at least, about, unless it has fewer generations or an interval of its own."""


class Sweep(NamedTuple):
    """What a sweep gave."""

    settings: list[dict[str, float]]  # each with the numbers that differ
    seeds: list[int]
    generations: list[int]  # when the runs were evaluated
    scores: np.ndarray  # float[settings, seeds, evaluations]: mean scores of the recommended parameters
    signal: int | None = None  # that ended it

    def labels(self) -> list[str]:
        """What each setting is called."""
        return [
            ", ".join(f"{name} {value:g}" for name, value in setting.items()) or "as given" for setting in self.settings
        ]

    def best(self) -> int:
        """The setting with the highest mean of the last scores over its seeds."""
        means = self.scores[:, :, -1].mean(1)
        return int(np.nanargmax(means)) if not np.isnan(means).all() else 0


def sweep(
    config: Config,
    numbers: Mapping[str, Sequence[float]],
    *,
    seeds: int = 4,
    out: str | Path | None = None,
    progress: bool = True,
) -> Sweep:
    """Train with every combination of some numbers of the strategy, each with several seeds, all at once.

    Args:
        config: settings of all runs, as for `jaxes.training.train`; `generations` and `seconds`, of the whole sweep,
            are the limits.
        numbers: names and the values to try, such as `{"sigma": (0.02, 0.05), "c_m": (0.5, 1.0)}`; may be empty.
        seeds: how many seeds, from `config.seed` on.
        out: a folder for `sweep.json` and `sweep.png`; nothing is written if None.
        progress: whether to show a bar.

    Returns:
        A `Sweep`; its `scores` are float[settings, seeds, evaluations].

    Raises:
        ValueError: for settings that do not fit each other, for what is no number of the strategy's state, or an
            environment that runs on CPUs.
        FileExistsError: if `out` holds a sweep or a run.

    >>> config = jaxes.training.Config("brax/reacher", generations=50)  # doctest: +SKIP
    >>> jaxes.training.sweep(config, {"sigma": (0.02, 0.05, 0.1)}, seeds=8).best()  # doctest: +SKIP
    """
    _check_whole(config)
    checks.count("seeds", seeds)
    seeds = int(seeds)
    settings = _settings(numbers)
    config = dataclasses.replace(settings_of.complete(config), target=None)
    limits = Limits(generations=config.generations, seconds=config.seconds)
    folder = None if out is None else _reserved(Path(out))
    for setting in settings:
        _with(config, setting)
    parts = build(_with(config, settings[0]))
    _check(parts.strategy, settings)
    if parts.problem.host:
        raise ValueError(
            f"{config.env} runs on CPUs in processes of their own, and a sweep is one compiled program: "
            "train each setting by itself (jaxes train), and compare them by jaxes plot"
        )
    seeds_of = [settings_of.seed(config.seed + i) for i in range(seeds)]
    runs = _Runs(
        config, parts, settings, seeds_of, Progress(config.env, limits.lengths(), progress, "best", "generations")
    )
    found = runs.run(limits)
    if folder is not None:
        save(found, config, folder)
    return found


def usual_folder(config: Config, root: str | Path = "runs") -> Path:
    """`runs/ENV-STRATEGY-sweep`."""
    return Path(root) / f"{file_name(config.env)}-{config.strategy}-sweep"


def save(found: Sweep, config: Config, folder: Path) -> None:
    """Write `sweep.json`, and the picture beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {**found._asdict(), "scores": found.scores.tolist(), "config": about.described(config)}
    scratch = folder / f".{NAME}.tmp"
    scratch.write_text(json.dumps({**kept, "versions": about.versions()}, indent=2) + "\n")
    os.replace(scratch, folder / NAME)
    draw(folder)


def draw(folder: Path, out: Path | None = None) -> Path:
    """Draw the picture of a sweep: `sweep.png` in its folder, or `out`."""
    from jaxes.training import plots

    found, config = _read(folder / NAME)
    title = f"{config['env']}, {config['strategy']}"
    path = folder / "sweep.png" if out is None else out
    return plots.sweep(found.labels(), found.scores, found.generations, path, title)


def refuse(folder: Path) -> None:
    """Raise ValueError if this is the folder of a sweep, of whose runs only the scores are kept."""
    path = folder / NAME
    if not path.is_file():
        return
    found, config = _read(path)
    best, fields = found.settings[found.best()], {field.name for field in dataclasses.fields(Config)}
    given = [f"--strategy {config['strategy']}"]
    given += [f"--{name.replace('_', '-')} {value!r}" for name, value in best.items() if name in fields]
    if others := [f"{name}={value!r}" for name, value in best.items() if name not in fields]:
        given.append(f"--options {' '.join(others)}")
    raise ValueError(
        f"{folder} is the folder of a sweep ({NAME}): it keeps scores and no policies; train with its best setting: "
        f"jaxes train {config['env']} {' '.join(given)}"
    )


def _read(path: Path) -> tuple[Sweep, dict[str, Any]]:
    """A sweep from its file, and the settings of all runs."""
    kept = json.loads(path.read_text())
    scores = np.array(kept["scores"], float)
    return Sweep(kept["settings"], kept["seeds"], kept["generations"], scores, kept["signal"]), kept["config"]


def table(found: Sweep) -> list[str]:
    """The lines of a table: how good each setting was in the end; a star at the best."""
    width = max(len("setting"), *map(len, found.labels()))
    lines = [f"  {'setting':{width}}  {'mean':>9} {'std':>8} {'worst':>9} {'best':>9}"]
    several = len(found.seeds) > 1
    for i, (label, scores) in enumerate(zip(found.labels(), found.scores[:, :, -1])):
        std = f"{scores.std(ddof=1):.3g}" if several else "-"
        figures = f"{scores.mean():9.4g} {std:>8} {scores.min():9.4g} {scores.max():9.4g}"
        lines.append(f"{'*' if i == found.best() else ' '} {label:{width}}  {figures}")
    seeds = words.count(len(found.seeds), "seed")
    foot = f"  scores of {seeds} after {words.count(found.generations[-1], 'generation')}"
    return [*lines, foot + ("; std between seeds, by n - 1" if several else "")]


class _Runs:
    """All runs: their states, leaves [settings * seeds, ...]."""

    def __init__(self, config: Config, parts: Parts, settings: list[dict[str, float]], seeds: list[int], bar: Progress):
        self._config, self._parts, self._settings, self._seeds, self._bar = config, parts, settings, seeds, bar
        held_out = rl.evaluation(parts.env, parts.policy, episodes=config.evaluation_episodes)
        self._score = scoring(parts.strategy, parts.problem, held_out)

    def run(self, limits: Limits) -> Sweep:
        """Run until a limit is reached, or a signal arrives."""
        rows: list[np.ndarray] = []
        generations: list[int] = []
        every = self._config.evaluate_every
        if every == Config.evaluate_every and limits.generations is not None:
            every = min(every, -(-limits.generations // POINTS))
        now, began, interruption = 0, time.monotonic(), Interruption(at_once=True)
        try:
            with interruption:
                self._bar.say(f"tracing {len(self._settings)} settings with {len(self._seeds)} seeds each")
                carry, keys_of_all = self._start()
                since = time.monotonic()
                chunk = Compiling(jax.jit(self._chunk), carry, np.int32(1), since=since, bar=self._bar)
                score = Compiling(jax.jit(self._evaluated), carry, keys_of_all, since=since, bar=self._bar)
                advance, evaluate = chunk.wait(self._bar, interruption), score.wait(self._bar, interruption)
                interruption.at_once = False
                while True:
                    length = every
                    if limits.generations is not None:
                        length = min(length, limits.generations - now)
                    before = time.monotonic()
                    carry, means = advance(carry, np.int32(length))
                    computed(means)
                    took = time.monotonic() - before
                    now += length
                    rows.append(np.asarray(evaluate(carry, keys_of_all)))
                    generations.append(now)
                    seconds = time.monotonic() - began
                    self._show(now, seconds, length / took, rows[-1], np.asarray(means))
                    if interruption.received or limits.reached(now, 0, seconds):
                        break
        except KeyboardInterrupt:
            if not rows:
                raise
        finally:
            self._bar.close()
        shape = (len(rows), len(self._settings), len(self._seeds))
        scores = np.moveaxis(np.stack(rows).reshape(shape), 0, -1)
        return Sweep(self._settings, self._seeds, generations, scores, interruption.received)

    def _start(self) -> tuple[Any, jax.Array]:
        """The state of every run, and the key of its evaluations, as `jaxes.training.train` makes them of a seed."""
        names = list(self._settings[0])
        pairs = list(itertools.product(self._settings, self._seeds))
        run_keys = jnp.stack([jax.random.key(seed, impl=self._config.random) for _, seed in pairs])
        values = {name: np.array([setting[name] for setting, _ in pairs], np.float32) for name in names}

        def one(key, values):
            params = self._parts.policy.init(keys.stream(key, Stream.PARAMETERS))
            state = self._parts.strategy.init(keys.stream(key, Stream.STRATEGY), params, **values)
            return state, self._parts.problem.init(keys.stream(key, Stream.TASK))

        carry = jax.jit(jax.vmap(one))(run_keys, values)
        return carry, jax.vmap(lambda key: keys.stream(key, Stream.EVALUATION))(run_keys)

    def _chunk(self, carry: Any, length: jax.Array) -> tuple[Any, jax.Array]:
        """Some generations of all runs, and the mean fitness of the last one, float[runs]."""
        step = jax.vmap(generation(self._parts.strategy, self._parts.problem))

        def once(_, before):
            carry, info = step(before[0])
            return carry, info.mean

        like = jax.eval_shape(step, carry)[1].mean
        return jax.lax.fori_loop(0, length, once, (carry, jnp.zeros(like.shape, like.dtype)))

    def _evaluated(self, carry: Any, keys: jax.Array) -> jax.Array:
        """float[runs]: the mean score of each run's recommended parameters."""
        return jax.vmap(lambda one, key: jnp.mean(self._score(one, key)))(carry, keys)

    def _show(self, now: int, seconds: float, speed: float, scores: np.ndarray, means: np.ndarray) -> None:
        best = scores.reshape(len(self._settings), -1).mean(1).max()
        row = {"generation": now, "seconds": seconds, "mean": float(means.mean()), "evaluation": best}
        row["steps_per_second"] = speed * len(scores)
        self._bar.show(row, float(best))


def _settings(numbers: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Every combination of the values."""
    listed = lambda values: values.tolist() if isinstance(values, np.ndarray) else plain(values)
    numbers = {name: listed(values) for name, values in numbers.items()}
    for name, values in numbers.items():
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise ValueError(f"{name} must be values to try, such as (0.02, 0.05), got {values!r}")
        for value in values:
            checks.real(name, value, "that is finite", np.isfinite)
        if len(set(values)) < len(values):
            raise ValueError(f"{name} must have each value once, got {tuple(values)}")
    return [dict(zip(numbers, map(float, chosen))) for chosen in itertools.product(*numbers.values())]


def _check(strategy: Strategy, settings: list[dict[str, float]]) -> None:
    """Raise ValueError for what is none of the numbers that a state has, and for a value that one cannot have."""
    for setting in settings:
        try:
            strategy.init(jax.random.key(0), jnp.zeros(3), **setting)
        except TypeError as error:
            raise ValueError(f"only numbers of a state can be swept: {error}") from None


def _check_whole(config: Config) -> None:
    """Raise ValueError for settings that runs of their own have, and the one program of a sweep does not."""
    if config.steps is not None or config.target not in (None, "none"):
        raise ValueError("a sweep stops after generations or seconds, so steps and target cannot be given")
    for name in ("devices", "comm", "report_every", "track", "workers", "ray"):
        if getattr(config, name) is not None:
            raise ValueError(
                f"a sweep is one program on one device, which has no {name}, got {getattr(config, name)!r}"
            )
    if config.strict:
        raise ValueError("a sweep is one program on one device, which has no strict mode")


def _with(config: Config, setting: Mapping[str, float]) -> Config:
    """The settings of one run; raises ValueError for those that its strategy does not have."""
    fields = {field.name for field in dataclasses.fields(Config)}
    own: dict[str, Any] = {name: value for name, value in setting.items() if name in fields}
    others = tuple(f"{name}={value!r}" for name, value in setting.items() if name not in fields)
    own["options"] = (*config.options, *others)
    return settings_of.complete(dataclasses.replace(config, **own))


def _reserved(folder: Path) -> Path:
    """The folder; raises FileExistsError if it holds a sweep or a run."""
    for name in (NAME, about.NAME):
        if (folder / name).exists():
            raise FileExistsError(f"{folder} holds a {name} already: name another folder")
    return folder
