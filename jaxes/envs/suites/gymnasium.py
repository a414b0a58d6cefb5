"""Any environment of gymnasium by its id: each lane has its own, made by `gymnasium.make` and stepped alone.

Wrappers stay, whoever has put them there. Only the outermost time limit is taken off, because the rollout limits time
(`Env.max_steps`), and so are the two wrappers that merely check how they are called.
"""

import functools
import importlib
import os
import sys
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxes.envs.host import check_limit, host_env
from jaxes.envs.protocol import Discrete, Env
from jaxes.envs.suites import spaces
from jaxes.support import extras

# The ones that `jaxes envs` lists; any other id that gymnasium knows works too.
MAX_STEPS = {
    "Acrobot-v1": 500,
    "BipedalWalker-v3": 1600,
    "BipedalWalkerHardcore-v3": 2000,
    "CartPole-v1": 500,
    "LunarLander-v3": 1000,
    "LunarLanderContinuous-v3": 1000,
    "MountainCar-v0": 200,
    "MountainCarContinuous-v0": 999,
    "Pendulum-v1": 200,
}
SIZES = {
    "Acrobot-v1": (6, Discrete(3)),
    "BipedalWalker-v3": (24, 4),
    "BipedalWalkerHardcore-v3": (24, 4),
    "CartPole-v1": (4, Discrete(2)),
    "LunarLander-v3": (8, Discrete(4)),
    "LunarLanderContinuous-v3": (8, 2),
    "MountainCar-v0": (2, Discrete(3)),
    "MountainCarContinuous-v0": (2, 1),
    "Pendulum-v1": (3, 1),
}
NO_LIMIT = 10_000  # steps of an episode where gymnasium names no limit


class Made(NamedTuple):
    """What `gymnasium.make` has made."""

    env: Any  # without the outermost time limit
    limit: int  # in steps


def make(name: str, **options: Any) -> Env:
    """The environment "gymnasium/`name`": what `gymnasium.make` gives, with all its wrappers.

    Observations are those of its space: boxes as they are, also in dictionaries and tuples in which one has two or more
    dimensions (a picture); all others as one vector, in which choices are one-hot, as by gymnasium's
    `FlattenObservation`.

    Args:
        name: gymnasium's id, such as "CartPole-v1"; "CartPole" for the newest version; "module:Name-v0" for a module
            that registers it. Worker processes need a module where your own script registers an id.
        **options: for `gymnasium.make`, and through it for the environment. `max_episode_steps`, an int of 1 or more,
            is the time limit.

    Raises:
        ImportError: without gymnasium; the message says what to install.
        ValueError: if gymnasium does not know the id, observations have no fixed size, actions are neither a box nor
            choices, or the environment does not keep gymnasium's interface.
    """
    name = newest(name)
    env, limit = made(name, options)
    observations, actions = _read(name, env)
    _try(name, env, observations, actions)
    seconds = 1 / env.metadata["render_fps"] if env.metadata.get("render_fps") else 0.0
    arguments = name, options, spec(name)
    lanes, film_of = functools.partial(GymnasiumLanes, *arguments), functools.partial(_film, *arguments)
    drawn = "rgb_array" in (env.metadata.get("render_modes") or ())
    env.close()
    return host_env(
        f"gymnasium/{name}", lanes, observations.shapes, actions.action, limit, seconds, film_of if drawn else None
    )


def package(extra: str = "gymnasium") -> Any:
    """gymnasium itself; an ImportError that names the extra to install if it is missing."""
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # pygame, which draws, would look for a sound card and complain
    if sys.platform == "linux" and not os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # and for a screen
    try:
        import gymnasium
    except ImportError as error:
        raise extras.missing("gymnasium", extra, error) from None
    return gymnasium


def newest(name: str) -> str:
    """The same id, with the newest version if it has none; the module in front of it is imported.

    Raises:
        ValueError: if there is no such module, or no such id.
    """
    gymnasium = package()
    module, colon, short = name.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        except (ModuleNotFoundError, ValueError) as error:
            raise ValueError(f"gymnasium/{name} needs the module {module!r}, and there is none here: {error}") from None
    if short in gymnasium.registry:
        return name
    registration = gymnasium.envs.registration
    try:
        namespace, kind, version = registration.parse_env_id(short)
        found = None if version is not None else registration.find_highest_version(namespace, kind)
        if found is not None:
            return f"{module}{colon}{registration.get_env_id(namespace, kind, found)}"
        gymnasium.spec(short)
    except gymnasium.error.Error as error:
        raise ValueError(f"gymnasium has no environment {short!r}: {error}") from None
    return name


def spec(name: str) -> Any:
    """The specification of an id, which worker processes are told, so that they make the same."""
    return package().spec(name.rpartition(":")[2])


def made(name: str, options: dict[str, Any], extra: str = "gymnasium") -> Made:
    """gymnasium's environment.

    Raises:
        ImportError: without gymnasium or what the environment needs; the message names the extra to install.
        ValueError: if there is no such environment, or `max_episode_steps` is no number of steps.
    """
    check_limit(options)
    gymnasium = package(extra)
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of Box2D, and of old versions
            env = gymnasium.make(name, **{"disable_env_checker": True, **options})
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise extras.missing(name, extra, error) from None
    except gymnasium.error.Error as error:
        raise ValueError(f"gymnasium has no environment {name!r}: {error}") from None
    except TypeError as error:
        raise ValueError(f"gymnasium could not make {name!r}: {error}") from None
    wrappers, limits, inner = gymnasium.wrappers, [], env
    while isinstance(inner, gymnasium.Wrapper):
        limits += [inner._max_episode_steps] if isinstance(inner, wrappers.TimeLimit) else []
        inner = inner.env
    while type(env) in (wrappers.TimeLimit, wrappers.OrderEnforcing, wrappers.PassiveEnvChecker):
        env = env.env
    return Made(env, min(limits, default=NO_LIMIT))


def film(env: Any, seed: int, actions: list[Any], every: int) -> list[np.ndarray]:
    """Pictures of the episode with these actions; `env` was made with `render_mode="rgb_array"`."""
    env.reset(seed=seed)
    frames = [env.render()]
    for t, action in enumerate(actions, 1):
        env.step(action)
        if t % every == 0 or t == len(actions):
            frames.append(env.render())
    env.close()
    return frames


def _film(name: str, options: dict[str, Any], spec: Any, seed: int, actions: list[Any], every: int) -> list[np.ndarray]:
    package().registry[spec.id] = spec
    env = made(name, {**options, "render_mode": "rgb_array"}).env
    give = spaces.actions(name, env.action_space).give
    return film(env, seed, [give(action) for action in actions], every)


class GymnasiumLanes:
    """An environment for each lane (`jaxes.envs.host.Lanes`)."""

    def __init__(self, name: str, options: dict[str, Any], spec: Any, count: int):
        package().registry[spec.id] = spec
        self._name, self._envs = name, [made(name, options).env for _ in range(count)]
        observations, actions = _read(name, self._envs[0])
        self.observations, self._write, self._give = observations.blank(count), observations.write, actions.give
        self.truncated = np.zeros(count, bool)

    def reset(self, lane: int, seed: int) -> None:
        self._write(self.observations, lane, _begun(self._name, self._envs[lane], seed))

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rewards, done = np.zeros(len(lanes)), np.zeros(len(lanes), bool)
        envs, write, give, seen = self._envs, self._write, self._give, self.observations
        for k, lane in enumerate(lanes.tolist()):
            observation, reward, ended, cut, _ = envs[lane].step(give(actions[k]))
            rewards[k] = reward if isinstance(reward, float) else _number(self._name, reward)
            done[k], self.truncated[lane] = ended or cut, cut and not ended
            write(seen, lane, observation)
        return rewards, done


def _read(name: str, env: Any) -> tuple[spaces.Observations, spaces.Actions]:
    return spaces.observations(name, env.observation_space), spaces.actions(name, env.action_space)


def _begun(name: str, env: Any, seed: int) -> Any:
    """The first observation of an episode; raises ValueError for the interface of gym before version 0.26."""
    out = env.reset(seed=seed)
    if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], dict)):
        raise ValueError(
            f"reset of {name} must return (observation, info) with a dict as info, got {type(out).__name__}: it has "
            "the interface of gym before 0.26; shimmy's GymV21CompatibilityV0 gives it gymnasium's"
        )
    return out[0]


def _number(name: str, reward: Any) -> float:
    value = np.asarray(reward)
    if value.size != 1 or value.dtype.kind not in "biuf":
        raise ValueError(f"reward of {name} must be one number, got {reward!r}")
    return float(value.reshape(()))


def _try(name: str, env: Any, observations: spaces.Observations, actions: spaces.Actions) -> None:
    """Reset and step it once; ValueError where it does not keep gymnasium's interface."""
    try:
        first, again = (_written(observations, _begun(name, env, 1)) for _ in range(2))
    except TypeError as error:
        if "seed" not in str(error):
            raise
        raise ValueError(
            f"reset of {name} must take a seed, as gymnasium's interface has it: {error}; shimmy's "
            "GymV21CompatibilityV0 gives it to an environment of gym"
        ) from None
    if not all(np.array_equal(x, y, equal_nan=True) for x, y in zip(first, again, strict=True)):
        warnings.warn(f"{name} ignores the seed of its reset: runs on it cannot be repeated", stacklevel=4)
    env.action_space.seed(0)
    out = env.step(env.action_space.sample())
    if not isinstance(out, tuple) or len(out) != 5:
        got = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
        raise ValueError(
            f"step of {name} must return (observation, reward, terminated, truncated, info), got {got}: it has the "
            "interface of gym before 0.26; shimmy's GymV21CompatibilityV0 gives it gymnasium's"
        )
    _written(observations, out[0])
    _number(name, out[1])


def _written(observations: spaces.Observations, observation: Any) -> list[np.ndarray]:
    arrays = observations.blank(1)
    observations.write(arrays, 0, observation)
    return jax.tree.leaves(arrays)
