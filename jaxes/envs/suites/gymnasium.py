"""Any environment of gymnasium by its id: each lane has its own, made by `gymnasium.make` and stepped alone."""

import functools
import os
import warnings
from typing import Any

import jax
import numpy as np

from jaxes.envs.host import host_env
from jaxes.envs.protocol import Box, Discrete, Env
from jaxes.support import checks

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


def make(name: str, **options: Any) -> Env:
    """The environment "gymnasium/`name`".

    Args:
        name: gymnasium's id, such as "CartPole-v1", or "package:Name-v0" for a package that registers its own.
        **options: for the environment.

    Raises:
        ImportError: without gymnasium; the message says what to install.
        ValueError: if gymnasium does not know the id, its observations are not boxes (or dictionaries of boxes), or its
            actions are neither a box nor a choice.
    """
    env = raw(name, options)
    import gymnasium

    first, again = (jax.tree.leaves(env.reset(seed=1)[0]) for _ in range(2))
    if not all(np.array_equal(x, y) for x, y in zip(first, again, strict=True)):
        warnings.warn(f"{name} ignores the seed of its reset: runs on it cannot be repeated", stacklevel=3)
    lanes = functools.partial(GymnasiumLanes, name, options)
    limit = gymnasium.spec(name.rpartition(":")[2]).max_episode_steps or NO_LIMIT
    seconds = 1 / env.metadata["render_fps"] if env.metadata.get("render_fps") else 0.0
    film_of = functools.partial(_film, name, options)
    observation = shapes(name, env.observation_space)
    return host_env(
        f"gymnasium/{name}", lanes, observation, actions_of(name, env.action_space), limit, seconds, film_of
    )


def raw(name: str, options: dict[str, Any], extra: str = "gymnasium") -> Any:
    """gymnasium's environment without wrappers.

    Raises:
        ImportError: without gymnasium or what the environment needs; the message names the extra to install.
        ValueError: if there is no such environment.
    """
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # pygame, which draws, would look for a sound card and complain
    try:
        import gymnasium
    except ImportError as error:
        raise checks.extra("gymnasium", extra, error) from None
    try:
        return gymnasium.make(name, **options).unwrapped
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise checks.extra(name, extra, error) from None
    except gymnasium.error.Error as error:
        raise ValueError(f"gymnasium has no environment {name!r}: {error}") from None


def film(env: Any, seed: int, actions: list[np.ndarray], every: int) -> list[np.ndarray]:
    """Pictures of the episode with these actions; `env` was made with `render_mode="rgb_array"`."""
    env.reset(seed=seed)
    frames = [env.render()]
    for t, action in enumerate(actions, 1):
        env.step(action)
        if t % every == 0:
            frames.append(env.render())
    env.close()
    return frames


def _film(name: str, options: dict[str, Any], seed: int, actions: list[np.ndarray], every: int) -> list[np.ndarray]:
    return film(raw(name, {**options, "render_mode": "rgb_array"}), seed, actions, every)


class GymnasiumLanes:
    """An environment for each lane (`jaxes.envs.host.Lanes`)."""

    def __init__(self, name: str, options: dict[str, Any], count: int):
        self._envs = [raw(name, options) for _ in range(count)]
        space = self._envs[0].observation_space
        self.observations = jax.tree.map(lambda x: np.zeros((count, *x.shape), x.dtype), _arrays(space))
        self._choices = not hasattr(self._envs[0].action_space, "low")

    def reset(self, lane: int, seed: int) -> None:
        observation, _ = self._envs[lane].reset(seed=seed)
        self._see(lane, observation)

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rewards, done = np.zeros(len(lanes)), np.zeros(len(lanes), bool)
        for k, lane in enumerate(lanes.tolist()):
            action = int(actions[k]) if self._choices else actions[k]
            observation, rewards[k], ended, cut, _ = self._envs[lane].step(action)
            done[k] = ended or cut
            self._see(lane, observation)
        return rewards, done

    def _see(self, lane: int, observation: Any) -> None:
        for seen, x in zip(jax.tree.leaves(self.observations), jax.tree.leaves(observation), strict=True):
            seen[lane] = x


def _arrays(space: Any) -> Any:
    """The shapes and dtypes of the boxes in a space: in a dictionary if the space is one."""
    spaces = getattr(space, "spaces", None)
    if isinstance(spaces, dict):
        return {name: _arrays(part) for name, part in spaces.items()}
    return jax.ShapeDtypeStruct(space.shape, space.dtype) if hasattr(space, "low") else space


def shapes(name: str, space: Any) -> Any:
    """The observations of a space, a tree of `jax.ShapeDtypeStruct`; float64 becomes float32."""
    tree = _arrays(space)
    for leaf in jax.tree.leaves(tree):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            raise ValueError(f"{name} must have observations that are a Box or a Dict of them, got {leaf}")
    small = lambda dtype: np.float32 if dtype == np.float64 else dtype
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, small(x.dtype)), tree)


def actions_of(name: str, space: Any) -> Box | Discrete:
    """The actions of a space."""
    if hasattr(space, "low"):
        return Box(space.low.astype(np.float32), space.high.astype(np.float32))
    if hasattr(space, "n") and getattr(space, "start", 0) == 0 and space.shape == ():
        return Discrete(int(space.n))
    raise ValueError(f"{name} must have actions that are a Box or a Discrete from 0 on, got {space}")
