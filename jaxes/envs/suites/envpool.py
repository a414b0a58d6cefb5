"""Environments of EnvPool on CPUs: gymnasium's written in C++, several times faster where a step takes long.

The tasks have the same rules but not the same bits, because random streams and versions of simulators are others (Weng
et al. 2022, arXiv:2206.10558). For the MuJoCo tasks `mujoco/*` is as fast, and bit for bit gymnasium's.
"""

import functools
import warnings
from typing import Any

import jax
import numpy as np

from jaxes.envs.host import check_limit, host_env, threaded_step
from jaxes.envs.protocol import Box, Discrete, Env
from jaxes.envs.suites import spaces
from jaxes.support import checks, extras

# The ones that `jaxes envs` lists; any other of `envpool.list_all_envs()` for one player works too.
MAX_STEPS = {"BipedalWalker-v3": 1600, "BipedalWalkerHardcore-v3": 2000, "CarRacing-v3": 1000}
SIZES = {"BipedalWalker-v3": (24, 4), "BipedalWalkerHardcore-v3": (24, 4), "CarRacing-v3": (96 * 96 * 3, 3)}


def make(name: str, **options: Any) -> Env:
    """The environment "envpool/`name`".

    Args:
        name: EnvPool's id, such as "BipedalWalker-v3".
        **options: for EnvPool's environment.

    Raises:
        ImportError: without EnvPool; the message says what to install.
        ValueError: if there is no such environment, it is for several players, its observations have
            no fixed size, its actions are neither a box nor a choice, or `max_episode_steps` is no number of steps.
    """
    check_limit(options)
    package = _package()
    checks.choice("EnvPool environment", name, package.list_all_envs())
    with _quiet():
        spec = package.make_spec(name, **options)
        seen, acted = spec.gymnasium_observation_space, spec.gymnasium_action_space
    if spec.config.max_num_players > 1:
        raise ValueError(f"envpool/{name} must be for one player, it is for {spec.config.max_num_players}")
    if not isinstance(spaces.actions(name, acted).action, Box | Discrete):
        raise ValueError(f"envpool/{name} must have actions that are a Box or a Discrete, got {acted}")
    observation, action = spaces.observations(name, seen).shapes, spaces.actions(name, acted).action
    lanes, film = functools.partial(EnvPoolLanes, name, options), functools.partial(_film, name, options)
    on_screen = ".mujoco." in type(spec).__mro__[1].__module__  # it draws those nowhere else
    limit = spec.config.max_episode_steps
    return host_env(f"envpool/{name}", lanes, observation, action, limit, film=None if on_screen else film)


def _quiet() -> warnings.catch_warnings:
    """Silence EnvPool, which uses what gymnasium has deprecated."""
    return warnings.catch_warnings(action="ignore")


def _package() -> Any:
    try:
        import envpool
    except ImportError as error:
        raise extras.missing("envpool", "envpool", error) from None
    return envpool


def _one(name: str, options: dict[str, Any], seed: int) -> Any:
    """A pool of one environment, for one episode: EnvPool takes a seed only when a pool is made."""
    limit = {"max_episode_steps": 2**30}  # the rollout limits time
    fixed = {"env_type": "gymnasium", "num_envs": 1, "num_threads": 1, "seed": seed % 2**31}
    with _quiet():
        return _package().make(name, **{**limit, **options, **fixed})


class EnvPoolLanes:
    """For each lane a pool of one environment and one thread, made anew by every reset (`jaxes.envs.host.Lanes`)."""

    def __init__(self, name: str, options: dict[str, Any], count: int):
        self._name, self._options = name, options
        self._pools: list[Any] = [None] * count
        self._first, self.truncated = np.zeros(1, np.int32), np.zeros(count, bool)
        with _quiet():
            pool = _one(name, options, 0)
        observations, actions = (
            spaces.observations(name, pool.observation_space),
            spaces.actions(name, pool.action_space),
        )
        self.observations, self._write, self._give = observations.blank(count), observations.write, actions.give

    def reset(self, lane: int, seed: int) -> None:
        self._pools[lane] = _one(self._name, self._options, seed)
        with _quiet():
            self._see(lane, self._pools[lane].reset()[0])

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        send = lambda k, lane: self._pools[lane].send(actions[k : k + 1], self._first)
        return threaded_step(lanes, send, lambda lane: self._pools[lane].recv()[:4], self._see, self.truncated)

    def _see(self, lane: int, observation: Any) -> None:
        self._write(self.observations, lane, jax.tree.map(lambda x: x[0], observation))


def _film(name: str, options: dict[str, Any], seed: int, actions: list[Any], every: int) -> list[np.ndarray]:
    pool = _one(name, {**options, "render_mode": "rgb_array"}, seed)
    with _quiet():
        pool.reset()
        frames = [pool.render()[0]]
        for t, action in enumerate(actions, 1):
            pool.step(np.asarray(action)[None])
            if t % every == 0 or t == len(actions):
                frames.append(pool.render()[0])
    return frames
