"""Environments that run in Python processes on CPUs, several copies of one in each process: its lanes."""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import numpy as np

from jaxes.envs.protocol import Box, Discrete, Env, MultiDiscrete
from jaxes.support import checks


class Lanes(Protocol):
    """Several copies of an environment in one process, each of them reset and stepped on its own.

    Environments that cut episodes short themselves, by a time limit of their own, also have `truncated`: bool[lanes],
    whether the last step of a lane has cut an episode that had not ended. Without it none was.
    """

    observations: Any
    """An array [lanes, ...] or a tree of them: the current observation of each lane. It is written into, never
    replaced."""

    def reset(self, lane: int, seed: int) -> None:
        """Begin an episode on one lane, as `gymnasium.make(...).reset(seed=seed)` would."""

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step some lanes.

        Args:
            lanes: int[k]: which ones.
            actions: [k, ...]: one for each of them.

        Returns:
            The rewards, float64[k], and bool[k]: whether the episode is over by the environment's own rules.
        """
        ...


def truncated(lanes: Lanes, some: np.ndarray) -> np.ndarray:
    """bool[k]: which of the lanes `some` (int[k]) say that their last step has cut an episode short."""
    told = getattr(lanes, "truncated", None)
    return np.zeros(len(some), bool) if told is None else np.asarray(told, bool)[some]


def for_policies(dtype: Any) -> Any:
    """The dtype in which policies read what lanes observe: that of the lanes, or float32 for numbers of 64 bits."""
    return np.float32 if np.dtype(dtype).itemsize >= 8 else np.dtype(dtype)


def host_env(
    name: str,
    lanes: Callable[[int], Lanes],
    observation: Any,
    action: Box | Discrete | MultiDiscrete,
    max_steps: int,
    step_seconds: float = 0.0,
    film: Callable[..., list[np.ndarray]] | None = None,
) -> Env:
    """An environment that `jaxes.rl.rollout` plays in worker processes.

    Args:
        name: SUITE/NAME.
        lanes: `lanes(count) -> Lanes`. Because other processes call it, it must be a module's function, or a
            `functools.partial` of one.
        observation: as in `Env`; likewise `action`, `max_steps` and `step_seconds`.
        film: `film(seed, actions, every) -> pictures` of an episode: the first, one for every `every` steps, the last.
    """

    def refuse(*_: Any) -> NoReturn:
        raise TypeError(
            f"{name} runs on CPUs, outside of compiled programs: give it to jaxes.rl.rollout and jaxes.rl.evaluation, "
            "or step its lanes yourself: env.lanes(count)"
        )

    return Env(name, refuse, refuse, observation, action, max_steps, step_seconds, lanes=lanes, film=film)


def check_limit(options: dict[str, Any]) -> None:
    """Raise ValueError if the option `max_episode_steps`, where it is given, is no number of steps."""
    if options.get("max_episode_steps") is not None:
        checks.integer("max_episode_steps", options["max_episode_steps"])


def threaded_step(
    lanes: np.ndarray,
    send: Callable[[int, int], None],
    receive: Callable[[int], tuple[Any, Any, Any, Any]],
    see: Callable[[int, Any], None],
    truncated: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """`Lanes.step` for environments in threads of their own: all are given their actions before one is waited for.

    Args:
        lanes: int[k].
        send: `send(k, lane)` gives the k-th action to a lane.
        receive: `receive(lane) -> (observation, reward, ended, truncated)`, arrays [1, ...].
        see: `see(lane, observation)` takes down an observation [1, ...].
        truncated: bool[lanes], written into: `Lanes.truncated`.
    """
    some = lanes.tolist()
    for k, lane in enumerate(some):
        send(k, lane)
    rewards, done = np.zeros(len(some)), np.zeros(len(some), bool)
    for k, lane in enumerate(some):
        observation, reward, ended, cut = receive(lane)
        rewards[k], done[k] = reward[0], ended[0] or cut[0]
        truncated[lane] = cut[0] and not ended[0]
        see(lane, observation)
    return rewards, done


class Repeated:
    """Lanes in which every action is held for `times` steps, or until the episode ends."""

    def __init__(self, make: Callable[[int], Lanes], times: int, count: int):
        self._lanes, self._times = make(count), times
        self.observations = self._lanes.observations

    @property
    def truncated(self) -> np.ndarray | None:
        return getattr(self._lanes, "truncated", None)

    def reset(self, lane: int, seed: int) -> None:
        self._lanes.reset(lane, seed)

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total, done = np.zeros(len(lanes)), np.zeros(len(lanes), bool)
        for _ in range(self._times):
            going = np.nonzero(~done)[0]
            if not len(going):
                break
            rewards, ended = self._lanes.step(lanes[going], actions[going])
            total[going] += rewards
            done[going] = ended
        return total, done
