"""All settings of a training run in one flat record: the command line fills it, and `config.json` keeps it."""

import dataclasses
import inspect
import json
import math
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

from jaxes import envs
from jaxes.noise import NOISES
from jaxes.shaping import SHAPINGS
from jaxes.strategies import STRATEGIES
from jaxes.support import checks
from jaxes.support.numerals import plain
from jaxes.training import about, presets, tracking
from jaxes.training.limits import Limits


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of `jaxes train`. None stands for the environment's preset, or else for the default of the function that
    takes the setting."""

    env: str
    """Environment, SUITE/NAME; `jaxes envs` lists them."""

    # the environment
    backend: str | None = None
    """Physics: spring, generalized, positional or mjx (Brax)."""
    action_repeat: int | None = None
    """How many steps an action is held for, in training and evaluation (frame skip)."""

    # the strategy
    strategy: str = "open_es"
    """Name of the strategy; `jaxes strategies` lists them with their settings."""
    population_size: int | None = None
    """Members per generation."""
    sigma: float | None = None
    """Standard deviation of the perturbations."""
    learning_rate: float | None = None
    """Adam's step size (open_es), or the rate of the mean."""
    sigma_learning_rate: float | None = None
    """Rate of the step size."""
    weight_decay: float | None = None
    """Pull of the parameters towards zero."""
    decay: Literal["decoupled", "l2"] | None = None
    """How weight decay acts."""
    shaping: str | None = None
    """How fitness becomes weights, for example centered_rank."""
    noise: str | None = None
    """Kind of perturbation: gaussian, rademacher, low_rank (matrices of rank 1), table or orthogonal."""
    antithetic: bool | None = None
    """Whether members come in mirrored pairs."""
    elite_fraction: float | None = None
    """Part of the population from which the next distribution is made."""
    blocks: int | None = None
    """How many parts the population is evaluated in, one after the other, to bound memory."""
    options: tuple[str, ...] = ()
    """Other settings of the strategy, each as NAME=VALUE, for example c_m=0.9 active=false."""

    # the policy
    network: str = "mlp"
    """mlp, gru, lstm, cnn:nature, cnn:a3c, or values, which chooses among described choices (jaxes/tetris)."""
    hidden: tuple[int, ...] | None = None
    """Sizes of the hidden layers; for gru and lstm of the cells, for cnn of the dense layers."""
    head: str | None = None
    """tanh, clip, bins:COUNT, bins:VALUE,VALUE,..., gaussian; for choices categorical or categorical:sample."""
    activation: str | None = None
    """tanh, relu, elu or silu."""
    last_scale: float | None = None
    """Scale of the last layer's initial weights."""
    initialization: str | None = None
    """lecun, or normc as in OpenAI's code."""
    action_noise: float | None = None
    """Standard deviation of Gaussian noise on the actions, in training only."""
    virtual_batch_norm: bool = False
    """Whether mlp or cnn normalize their layers by a reference batch, instead of the observations."""

    # the rollout
    episodes: int | None = None
    """Episodes that a member plays in a generation."""
    max_steps: int | None = None
    """Time limit of training episodes; evaluation always has the environment's own."""
    least_steps: int | None = None
    """Steps that a member takes in a generation at least, in as many episodes as that needs."""
    cap: str | None = None
    """A lower time limit in training: a number of steps, 2x_mean (twice the mean length), or
    adaptive:START,THRESHOLD,RATIO: START steps, multiplied by RATIO when a share THRESHOLD of the episodes reaches it.
    """
    clip_reward: tuple[float, float] | None = None
    """LOW HIGH: in training, rewards are clipped to this range; never in evaluation."""
    shift: float | None = None
    """Subtracted from every reward in training, such as the bonus for being alive; never in evaluation."""
    alive_bonus: tuple[int, int, float] | None = None
    """T0 T1 BONUS: in training, added to rewards from step T1 of an episode on; it grows linearly from step T0."""
    normalize: Literal["on", "off", "salimans", "ars"] | None = None
    """Whether the policy sees normalized observations, and how they are normalized."""
    mode: Literal["auto", "refill", "while", "scan"] | None = None
    """How episodes are played: some at once while others wait (refill), or all at once until the last one ends (while)
    or the time limit (scan)."""
    lanes: int | None = None
    """Episodes played at once."""
    seeds: Literal["pair", "generation", "independent"] | None = None
    """Which members start in the same state."""
    check_every: int | None = None
    """Steps between two looks at which episodes have ended."""
    lanewise: Literal["auto", "on", "fast", "off"] | None = None
    """Whether resets and steps run as one program for all lanes: auto does so on CPUs and NVIDIA cards where that is
    faster; fast approximates sines, roots and divisions on a card."""
    workers: int | None = None
    """Processes that play an environment which runs on CPUs (mujoco, gymnasium)."""
    ray: str | None = None
    """Address of a Ray cluster that plays such an environment instead, for example HOST:6379."""

    # where it is computed
    devices: int | None = None
    """Devices that the population is spread over (of each process, if there are several). A CPU is divided into so
    many. They must divide blocks."""
    comm: Literal["scalars", "blocks", "psum"] | None = None
    """What devices send beside fitness: nothing (scalars), the sums of noise of each block (blocks), or of each device
    (psum)."""
    strict: bool = False
    """Whether every number of devices gives the same bits, which takes some percent more time."""

    # when to stop
    generations: int | None = None
    """Stop after this many generations in all."""
    steps: int | None = None
    """Stop after this many environment steps in all (evaluation does not count)."""
    seconds: float | None = None
    """Stop after this many seconds of training in all, with compiling included."""
    target: float | Literal["none"] | None = None
    """Stop when the mean score of an evaluation reaches this, and that of four times as many fresh episodes too; none
    to go on whatever the score is."""

    # evaluation and bookkeeping
    evaluate_every: int = 10
    """Generations between two evaluations."""
    report_every: int | None = None
    """Generations between two rows of the metrics."""
    evaluation_episodes: int = 16
    """Held-out episodes of one evaluation."""
    seed: int = 0
    """Seed of all randomness."""
    random: Literal["threefry2x32", "threefry4x32", "philox4x32"] = "threefry2x32"
    """Implementation of the random keys."""
    track: str | None = None
    """Where else to send metrics, settings and pictures, beside the folder and TensorBoard's events in it:
    wandb, mlflow or trackio; needs the extra of that name."""

    def __post_init__(self):
        for field in dataclasses.fields(self):  # JSON has no numbers of NumPy
            value = getattr(self, field.name)
            value = tuple(value.tolist()) if isinstance(value, np.ndarray) and value.ndim == 1 else plain(value)
            object.__setattr__(self, field.name, value)


NETWORKS = ("mlp", "gru", "lstm", "cnn:nature", "cnn:a3c", "values")

# LIMITS and WHERE may change when a run is resumed, because no number in a generation depends on them.
LIMITS = ("generations", "steps", "seconds", "target")

PLAYERS = ("workers", "ray")
DEVICES = ("devices", "comm")
WHERE = (*PLAYERS, *DEVICES, "track")
_STRATEGY = ["sigma", "learning_rate", "sigma_learning_rate", "weight_decay", "decay", "shaping", "noise", "antithetic"]
_STRATEGY += ["elite_fraction", "blocks"]
_PYTHON_ONLY = ("population_size", "tx", "weights")  # the first has a field; the others are functions
_POLICY = ["hidden", "head", "activation", "last_scale", "initialization", "action_noise"]
_ROLLOUT = ["episodes", "least_steps", "max_steps", "cap", "clip_reward", "shift", "alive_bonus", "normalize"]
_ROLLOUT += ["seeds", "mode", "lanes", "check_every", "lanewise", *PLAYERS]


def complete(config: Config) -> Config:
    """The same settings, with the environment's preset for everything that was not given.

    Raises:
        ValueError: for an unknown environment or strategy (the message has the nearest names), or for a setting that
            the strategy or the network does not have.
    """
    envs.check_name(config.env)
    named = lambda what, name, known: None if name is None else checks.named(what, name, known)
    config = dataclasses.replace(
        config,
        strategy=checks.named("strategy", config.strategy, STRATEGIES),
        shaping=named("shaping", config.shaping, SHAPINGS),
        noise=named("noise", config.noise, NOISES),
    )
    factory = STRATEGIES[config.strategy]
    none = config.target == "none"
    if none:
        config = dataclasses.replace(config, target=None)
    Limits(**{name: getattr(config, name) for name in LIMITS}).check()
    suite = config.env.partition("/")[0]
    if config.backend is not None and suite in envs.SUITES and suite != "brax":
        raise ValueError(f"backend is the physics of brax/*; {config.env} has none, got {config.backend!r}")
    for name in ("action_repeat", "devices", "report_every"):
        if getattr(config, name) is not None:
            checks.count(name, getattr(config, name))
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value}")
    checks.count("evaluate_every", config.evaluate_every)
    checks.count("evaluation_episodes", config.evaluation_episodes)
    tracking.check(config.track)
    seed(config.seed)
    takes = inspect.signature(factory).parameters
    has = [name for name in _STRATEGY if name in takes]
    for name in _given(config, _STRATEGY):
        if name not in takes:
            raise ValueError(f"strategy {config.strategy!r} has no setting {name!r}; it has: {', '.join(has)}")
    other_options(config)
    network = network_settings(config.network)
    if config.virtual_batch_norm and "virtual_batch_norm" not in network:
        raise ValueError(
            f"network {config.network!r} has no setting 'virtual_batch_norm'; it has: {', '.join(network)}"
        )
    if config.virtual_batch_norm and config.normalize not in (None, "off"):
        raise ValueError("virtual_batch_norm takes the place of normalized observations: leave normalize out")
    preset = {**presets.DEFAULT, **presets.of(config.env)}
    if config.strategy != "open_es":  # the presets' rates are those of open_es with Adam
        preset.pop("learning_rate")
    if config.network != "mlp":
        preset.pop("hidden")
    if config.virtual_batch_norm or config.network.startswith(("cnn", "values")):
        preset["normalize"] = "off"
    if none:
        preset.pop("target", None)
    if any(getattr(config, name) is not None for name in LIMITS):
        preset = {name: value for name, value in preset.items() if name not in LIMITS}
    fill = {name: value for name, value in preset.items() if getattr(config, name) is None}
    return dataclasses.replace(config, **fill)


def seed(value: Any) -> int:
    """Return `value` if it is the seed of a key that no other seed has."""
    checks.integer("seed", value, 0, 2**32 - 1)
    return value


def strategy_options(config: Config) -> dict[str, Any]:
    """The arguments of the strategy's factory beside the population size."""
    options = _given(config, _STRATEGY) | other_options(config)
    if "shaping" in options:
        options["shaping"] = SHAPINGS[options["shaping"]]()
    if "noise" in options:
        options["noise"] = NOISES[options["noise"]]()
    return options


def other_options(config: Config) -> dict[str, Any]:
    """`config.options` as names and values; raises ValueError for an option that the strategy does not have."""
    takes = inspect.signature(STRATEGIES[config.strategy]).parameters
    known = [name for name in takes if name not in (*_STRATEGY, *_PYTHON_ONLY)]
    found = {}
    for text in config.options:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"options must be given as NAME=VALUE, got {text!r}")
        if not known:
            raise ValueError(f"strategy {config.strategy!r} has no options, got {text!r}")
        checks.choice(f"option of {config.strategy}", name, known)
        found[name] = _option(config.strategy, name, value, takes[name].annotation)
    return found


def _option(strategy: str, name: str, text: str, annotation: Any) -> Any:
    """The value of an option, of the kind that the strategy's factory takes: a number, a word or a bool."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return checks.choice(f"{name} of {strategy}", text, kinds)
    if kinds == [str]:
        return text
    try:
        kind = {bool: {"true": True, "false": False}.__getitem__, int: int}.get(kinds[0], float)
        value = kind(text.lower())
    except (KeyError, ValueError):
        value = None
    if value is None or not math.isfinite(value):
        wanted = {bool: "true or false", int: "a whole number"}.get(kinds[0], "a number")
        raise ValueError(f"option {name} of {strategy} must be {wanted}, got {text!r}")
    return value


def network_settings(network: str) -> list[str]:
    """The settings that a network has; raises ValueError for an unknown one."""
    kind = checks.choice("network", network, NETWORKS).partition(":")[0]
    return [*_POLICY, "virtual_batch_norm"] if kind in ("mlp", "cnn") else _POLICY


def policy_options(config: Config) -> dict[str, Any]:
    """The arguments of the network's function in `jaxes.rl` beside the environment and the reference batch."""
    options = _given(config, _POLICY)
    kind = config.network.partition(":")[2]
    return {"kind": kind, **options} if kind else options


def rollout_options(config: Config) -> dict[str, Any]:
    """The arguments of `jaxes.rl.rollout` beside the environment and the policy."""
    return _given(config, _ROLLOUT)


def load(path: Path) -> Config:
    """Read the settings of a run that `jaxes train` has made.

    Raises:
        ValueError: if the run was made by `jaxes.fit`, or has settings that this version does not know.
    """
    values = json.loads(path.read_text())
    if about.is_by_fit(values):
        raise ValueError(
            f"{path.parent} was written by jaxes.fit from Python objects, which no file can name. From Python: "
            f"jaxes.load({str(path.parent)!r}, env=env, policy=policy) gives the policy to act, to evaluate and to "
            f"draw; jaxes.fit(strategy, problem, params, key=key, out={str(path.parent)!r}, resume=True) goes on"
        )
    values.pop("versions", None)
    unknown = set(values) - {field.name for field in dataclasses.fields(Config)}
    if unknown:
        raise ValueError(f"{path} has settings that this version of jaxes does not know: {', '.join(sorted(unknown))}")
    for name in ("hidden", "options", "alive_bonus", "clip_reward"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    return Config(**values)


def resumed(config: Config, changes: dict[str, Any]) -> Config:
    """The same settings with some changes.

    They come in groups: limits, players (`workers`, `ray`), devices (`devices`, `comm`), and `track`. A change in a
    group replaces the whole group; the target "none" only takes the target away.
    """
    values = dataclasses.asdict(config)
    if changes.get("target") == "none":  # the other limits stay
        values["target"], changes = None, {name: value for name, value in changes.items() if name != "target"}
    for group in (LIMITS, PLAYERS, DEVICES, ("track",)):
        if set(group) & set(changes):
            values |= dict.fromkeys(group)
    return Config(**{**values, **changes})


def _given(config: Config, names: list[str]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in names if getattr(config, name) is not None}
