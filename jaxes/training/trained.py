"""A trained policy on disk: `policy.msgpack` beside the run's `config.json`."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from jaxes import rl
from jaxes.envs import Env
from jaxes.rl import normalizer as norm
from jaxes.rl.policies.policy import Policy
from jaxes.training import config as settings
from jaxes.training.actor import actor


class Trained:
    """A policy with its parameters and its normalizer, ready to act.

    Call it with an observation to get an action, a NumPy array. A recurrent policy remembers the episode between calls,
    until `reset`.
    """

    def __init__(self, env: Env, policy: Policy, params: Any, normalizer: norm.Normalizer | None):
        self.env, self.policy, self.params, self.normalizer = env, policy, params, normalizer
        self._act, self._start = jax.jit(self._apply), jax.jit(policy.start)
        self.reset()

    def reset(self) -> None:
        """Forget the episode so far."""
        self._memory = self._start(self.params)

    def __call__(self, observation: Any) -> np.ndarray:
        action, self._memory = self._act(self._memory, observation)
        return np.asarray(action)

    def evaluate(self, key: jax.Array, episodes: int = 16) -> rl.Episodes:
        """Play full episodes from a key; the leaves of the result are [episodes]."""
        play = rl.evaluation(self.env, self.policy, episodes=episodes)
        return (play if self.env.lanes is not None else jax.jit(play))(self.params, self.normalizer, key)

    def _apply(self, memory: Any, observation: Any) -> tuple[Any, Any]:
        if self.normalizer is not None:
            observation = norm.normalize(self.normalizer, observation)
        return self.policy.act(self.params, memory, observation)


def save(folder: Path, params: Any, normalizer: norm.Normalizer | None) -> None:
    """Write the policy; an older one is replaced atomically."""
    scratch = folder / "policy.tmp"
    scratch.write_bytes(serialization.to_bytes(jax.device_get(_tree(params, normalizer))))
    os.replace(scratch, folder / "policy.msgpack")


def load(folder: str | Path) -> Trained:
    """The trained policy of a run.

    Args:
        folder: of the run, a path or a string.

    Returns:
        A `jaxes.training.Trained`, called with an observation (an array or a tree of arrays) to get an action.

    Raises:
        FileNotFoundError: if the folder holds no trained policy.
        ValueError: if its settings are unknown to this version of jaxes.

    >>> policy = jaxes.load("runs/brax-hopper-open_es-0")  # doctest: +SKIP
    >>> action = policy(observation)  # doctest: +SKIP
    """
    folder = Path(folder)
    for name in ("config.json", "policy.msgpack"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no trained policy: it has no {name}")
    config = settings.load(folder / "config.json")
    env, policy = actor(config)
    params = jax.eval_shape(policy.init, jax.random.key(0))
    normalizer = None if config.normalize == "off" else jax.eval_shape(lambda: norm.init(env.observation))
    blank = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), _tree(params, normalizer))
    tree = serialization.from_bytes(blank, (folder / "policy.msgpack").read_bytes())
    return Trained(env, policy, tree["params"], None if normalizer is None else norm.Normalizer(**tree["normalizer"]))


def _tree(params: Any, normalizer: norm.Normalizer | None) -> dict[str, Any]:
    return {"params": params, "normalizer": {} if normalizer is None else normalizer._asdict()}
