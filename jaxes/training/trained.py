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
    scratch.write_bytes(serialization.to_bytes(_plain(params, normalizer)))
    os.replace(scratch, folder / "policy.msgpack")


def load(folder: str | Path, *, env: Env | None = None, policy: Policy | None = None) -> Trained:
    """The trained policy of a run.

    Args:
        folder: of the run, a path or a string.
        env: for the folder of a `jaxes.fit`, which cannot name its objects: the environment that was trained on.
        policy: likewise, the policy.

    Returns:
        A `jaxes.training.Trained`, called with an observation (an array or a tree of arrays) to get an action.

    Raises:
        FileNotFoundError: if the folder holds no trained policy.
        ValueError: if its settings are unknown to this version of jaxes, if `env` and `policy` are missing, or do not
            fit what was trained.

    >>> policy = jaxes.load("runs/brax-hopper-open_es-0")  # doctest: +SKIP
    >>> action = policy(observation)  # doctest: +SKIP
    """
    folder = Path(folder)
    for name in ("config.json", "policy.msgpack"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no trained policy: it has no {name}")
    if env is None or policy is None:
        made = actor(settings.load(folder / "config.json"))
        env, policy = made[0] if env is None else env, made[1] if policy is None else policy
    found = serialization.msgpack_restore((folder / "policy.msgpack").read_bytes())
    normalizer = jax.eval_shape(lambda: norm.init(env.observation)) if found["normalizer"] else None
    parts = jax.eval_shape(policy.init, jax.random.key(0)), normalizer
    wanted = _plain(*jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), parts))
    shapes = [{_name(path): np.shape(x) for path, x in jax.tree_util.tree_leaves_with_path(t)} for t in (found, wanted)]
    if shapes[0] != shapes[1]:
        name = min(name for name, _ in shapes[0].items() ^ shapes[1].items())
        has, makes = (f"{list(of[name])}" if name in of else "nothing" for of in shapes)
        raise ValueError(f"{folder} holds another policy than was given: {name} is {has}, wanted {makes}")
    leaves = jax.tree.map(lambda _, x: x, wanted, found)
    return Trained(env, policy, *_like(parts, leaves))


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _like(parts: tuple[Any, Any], held: dict[str, Any]) -> tuple[Any, Any]:
    """Parameters and normalizer like `parts`, from what `_plain` makes of them."""
    params, normalizer = parts
    try:
        params = serialization.from_state_dict(params, held["params"])
    except (TypeError, ValueError):
        leaves = [held["params"][str(i)] for i in range(len(held["params"]))]
        params = jax.tree.unflatten(jax.tree.structure(params), leaves)
    return params, None if normalizer is None else serialization.from_state_dict(normalizer, held["normalizer"])


def _plain(params: Any, normalizer: norm.Normalizer | None) -> dict[str, Any]:
    """What is on disk: dicts of arrays; of a tree that Flax does not know, the leaves by their numbers."""
    held = {} if normalizer is None else serialization.to_state_dict(normalizer)
    try:
        kept = serialization.to_state_dict(params)
        serialization.msgpack_serialize({"params": kept})
    except (TypeError, ValueError):
        kept = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(params))}
    return jax.device_get({"params": kept, "normalizer": held})
