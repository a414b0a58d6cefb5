"""Learning curves of several libraries: score against seconds, measured in the same way for each of them.

A side is a function of a `Task` and a `Track`. It learns, and after a generation tells the track what it has got; the
track's clock stands still while the one evaluator plays.
"""

import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import jaxes
from jaxes import rl
from jaxes.rl.normalizer import REACH, Normalizer
from jaxes.training.limits import Limits

HELD_OUT = 1_000_003  # the key of all evaluations
PARAMS_ID = 3  # of the key of the first parameters, which all sides share that have such a network


@dataclasses.dataclass(frozen=True)
class Task:
    """What a side is given."""

    env: str
    hidden: tuple[int, ...]  # layers of tanh
    population_size: int
    sigma: float
    learning_rate: float  # of Adam
    episode_length: int = 1000  # in training
    seed: int = 0
    falling: int | None = None  # generations in which evosax's rate falls to a tenth and its sigma to a fifth
    rollout: dict[str, Any] = dataclasses.field(default_factory=dict)  # other settings of `jaxes.rl.rollout`


class EnoughError(Exception):
    """Ends another library's trainer."""


class Track:
    """What a run has reached by when."""

    def __init__(self, evaluate: Callable[[Any, Normalizer], jax.Array], limits: Limits, every: float):
        """`every`: seconds between two evaluations; there is one after the first generation and one at the end."""
        self.rows: list[dict[str, Any]] = []
        self.limits = limits
        self.compile_s = 0.0  # seconds until the first generation began
        self.stopped: str | None = None
        self._evaluate, self._every, self._due = evaluate, every, 0.0

    def start(self) -> None:
        """Start the clock: everything is imported, nothing is made or compiled."""
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Since the start, without evaluations."""
        return time.perf_counter() - self._began

    def note(self, generation: int, steps: int, params: Any, normalizer: Normalizer) -> bool:
        """Take down the parameters to deploy after so many generations; whether to go on.

        `steps` are those that environments were simulated for, whether anything was learned from them or not.
        """
        jax.block_until_ready((params, normalizer))
        seconds, cpu = self.seconds, time.process_time() - self._cpu_began
        self.stopped = self.limits.reached(generation, steps, seconds)
        if self.stopped or seconds >= self._due:
            scores = np.asarray(self._evaluate(params, normalizer))
            row = {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "generation": generation, "steps": steps}
            row |= {"evaluation": float(scores.mean()), "evaluation_std": float(scores.std())}
            self.rows.append(row)
            print(json.dumps(row), flush=True)
            if self.limits.target is not None and row["evaluation"] >= self.limits.target:
                self.stopped = "target"
            self._due = seconds + self._every
            self._began = time.perf_counter() - seconds
            self._cpu_began = time.process_time() - cpu
        return self.stopped is None

    def figures(self) -> dict[str, Any]:
        """What goes into the results."""
        return {"compile_s": round(self.compile_s, 3), "stopped": self.stopped, "rows": self.rows}


def evaluator(task: Task, episodes: int, policy: Callable[[jaxes.envs.Env], rl.Policy] | None = None):
    """`(params, normalizer) -> float[episodes]`: returns of full episodes, without noise, from held-out starts.

    It is built when first called. The policy is the task's network with a tanh head by default.
    """

    @functools.cache
    def built():
        env = jaxes.envs.make(task.env)
        actor = rl.mlp(env, task.hidden) if policy is None else policy(env)
        return jax.jit(rl.evaluation(env, actor, episodes=episodes))

    return lambda params, normalizer: built()(params, normalizer, jax.random.key(HELD_OUT)).returns


def normalizer(mean: jax.Array, std: jax.Array) -> Normalizer:
    """Another library's `(observation - mean) / std`."""
    return Normalizer(jnp.float32(1), mean, std**2, jnp.float32(jnp.inf), jnp.float32(0), jnp.float32(REACH))


def jaxes_side(task: Task, track: Track) -> None:
    """jaxes's open_es."""
    import brax.envs  # noqa: F401

    track.start()
    key = jax.random.key(task.seed)
    env = jaxes.envs.make(task.env)
    policy = rl.mlp(env, task.hidden)
    strategy = jaxes.open_es(task.population_size, task.sigma, learning_rate=task.learning_rate)
    problem = rl.rollout(env, policy, max_steps=task.episode_length, **task.rollout)
    params = jax.jit(policy.init)(jax.random.fold_in(key, PARAMS_ID))
    for report in jaxes.fit(strategy, problem, params, key=key, generations=track.limits.generations, progress=False):
        row = report.metrics
        if not track.compile_s:
            track.compile_s = track.seconds - row["steps"] / row["steps_per_second"]
        if not track.note(report.generation, row["lane_steps"], report.params, report.problem_state.normalizer):
            break


def evosax_side(task: Task, track: Track) -> None:
    """evosax's Open_ES on its BraxProblem, one generation a call, used as its notebook on reinforcement learning does.

    Its environments go on after an episode's end, up to the length of an episode for each member.
    """
    import brax.envs  # noqa: F401
    import evosax.problems
    import optax
    from evosax.algorithms import Open_ES

    track.start()
    key = jax.random.key(task.seed)
    policy = rl.mlp(jaxes.envs.make(task.env), task.hidden)
    mean = jax.jit(policy.init)(jax.random.fold_in(key, PARAMS_ID))
    problem = _brax_problem(task, evosax.problems.BraxProblem)
    rate, sigma = task.learning_rate, optax.constant_schedule(task.sigma)
    if task.falling is not None:
        rate = optax.exponential_decay(rate, task.falling, 0.1)
        sigma = optax.exponential_decay(task.sigma, task.falling, 0.2)
    strategy = Open_ES(task.population_size, mean, optimizer=optax.adam(rate), std_schedule=sigma)
    settings = strategy.default_params

    def generation(carry, key):
        state, seen = carry
        ask_key, play_key, tell_key = jax.random.split(key, 3)
        members, state = strategy.ask(ask_key, state, settings)
        returns, seen, _ = problem.eval(play_key, members, seen)
        state, _ = strategy.tell(tell_key, members, -returns, state, settings)
        return (state, seen), (strategy.get_mean(state), normalizer(seen.obs_mean, seen.obs_std))

    first, second, keys = jax.random.split(key, 3)
    carry = jax.tree.map(jnp.asarray, (strategy.init(first, mean, settings), problem.init(second)))
    keys = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))(keys, jnp.arange(10_000))
    program = jax.jit(generation).lower(carry, keys[0]).compile()
    track.compile_s = track.seconds
    for i, key in enumerate(keys, 1):
        carry, deployed = program(carry, key)
        if not track.note(i, i * task.population_size * task.episode_length, *deployed):
            break


def _brax_problem(task: Task, make: type) -> Any:
    """evosax's problem; the step that its constructor tries is traced only, as it would take a minute unjitted."""
    import brax.envs
    import flax.linen as nn
    from evosax.problems.networks import MLP, tanh_output_fn

    name = task.env.removeprefix("brax/")
    env = brax.envs.create(name, episode_length=task.episode_length, auto_reset=True, backend="spring")
    network = MLP((*task.hidden, env.action_size), activation=nn.tanh, output_fn=tanh_output_fn)
    made = []
    with mock.patch("brax.envs.create", lambda *_, **__: env):
        jax.eval_shape(lambda: made.append(make(name, network, episode_length=task.episode_length)))
    return made[0]


def brax_es(environment: Any, after: Callable[[dict[str, Any], Any], bool], **settings: Any) -> None:
    """Brax's ES trainer, without its evaluations.

    Args:
        environment: of Brax, raw.
        after: called after every generation with its metrics ("training/walltime" among them, the seconds of all
            generations so far) and (moments of observations, parameters); whether to go on.
        **settings: the trainer's own.
    """
    from brax.training.agents.es import train

    class Watcher:
        """In the place of its evaluator."""

        def __init__(self, *_, **__):
            pass

        def run_evaluation(self, parameters, training_metrics):
            if training_metrics and not after(training_metrics, parameters):  # none before the first generation
                raise EnoughError
            return {}

    size = jax.eval_shape(environment.reset, jax.random.key(0)).obs.shape[-1]
    most = 2**31
    # Its size of observations would be found by an unjitted reset, which takes minutes.
    with (
        mock.patch.object(type(environment), "observation_size", size),
        mock.patch.object(train.acting, "Evaluator", Watcher),
        contextlib.suppress(EnoughError),
    ):
        train.train(environment, num_timesteps=most, num_evals=most + 1, **settings)  # one after every generation


def without_cache() -> None:
    """Compile everything: a program from the cache has no compile time."""
    jax.config.update("jax_compilation_cache_dir", None)


def wants_accelerator(name: str) -> bool:
    """Whether JAX found none; says so."""
    missing = jax.default_backend() == "cpu"
    if missing:
        print(f"{name} wants an accelerator and JAX found none: nothing was run (--quick checks it, --cpu runs it)")
    return missing


def score_at(rows: list[dict[str, Any]], seconds: float, clock: str = "seconds") -> float:
    """The last evaluation by then; before the first one that one, a generation away from the common start."""
    return [rows[0]["evaluation"], *(row["evaluation"] for row in rows if row[clock] <= seconds)][-1]


def draw(panels: dict[str, dict[str, list[dict[str, Any]]]], path: Path, title: str, target: float | None = None):
    """Runs (as in `Track.figures`) of the sides of each panel: a line a run, a cross where it had compiled."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 4.6 * len(panels), 4.2), layout="constrained")
    for axes, (name, sides) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        for i, (side, runs) in enumerate(sides.items()):
            for j, run in enumerate(runs):
                x, y = ([row[what] for row in run["rows"]] for what in ("seconds", "evaluation"))
                label = side if j == 0 else None
                axes.plot(x, y, color=f"C{i}", marker="o", markersize=3, linewidth=1.4, alpha=0.85, label=label)
                axes.plot(run["compile_s"], y[0], color=f"C{i}", marker="x", markersize=6)
        if target is not None:
            axes.axhline(target, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(name)
        axes.set_xlabel("seconds, from the start on (x: compiled)")
        axes.set_xlim(left=0)
        axes.set_ylabel("return of the mean's full episodes")
        axes.grid(alpha=0.3)
    lines = {text: line for axes in figure.axes for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines), fontsize="small")
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=110)
