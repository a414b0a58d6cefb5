"""A trained policy on disk: `policy.msgpack` beside the run's `config.json`."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from jaxes import rl
from jaxes.envs import Box, Discrete, Env, MultiDiscrete
from jaxes.rl import normalizer as norm
from jaxes.rl.policies.policy import Policy
from jaxes.training import about
from jaxes.training import config as settings
from jaxes.training.actor import actor

# Fields of a normalizer that earlier versions did not write, and that acting does not need.
_LATER = {"reach": np.float32(norm.REACH)}


SEED = 1_000_003
"""Of episodes that training never saw, where no key is given."""


class Trained:
    """A policy with its parameters and its normalizer, ready to act.

    Call it with an observation, or with several at once (leaves [k, ...]), to get an action or as many, as a NumPy
    array. A recurrent policy remembers its episode, or those k episodes, between calls, until `reset`. One that
    remembers nothing may be called inside `jax.jit`, `jax.vmap` and the like, where the action is a JAX array.
    """

    def __init__(self, env: Env, policy: Policy, params: Any, normalizer: norm.Normalizer | None):
        self.env, self.policy, self.params, self.normalizer = env, policy, params, normalizer
        self._act, self._start = jax.jit(self._apply), jax.jit(policy.start)
        self._act_many = jax.jit(jax.vmap(self._apply))
        self.reset()

    def __repr__(self) -> str:
        return f"Trained({self.env.name}: from {_spelled(self.env.observation)} to {_action(self.env)})"

    def reset(self) -> None:
        """Forget the episode so far."""
        self._memory: Any = None
        self._count: int | None = None  # episodes that the memory is of; None for one without an axis

    def __call__(self, observation: Any) -> Any:
        observation, count = self._read(observation)
        memory, remembered = self._memory, self._count
        if not jax.tree.leaves(memory):
            many = lambda x: jnp.broadcast_to(x, (count, *x.shape))
            start = self._start(self.params)
            memory, remembered = start if count is None else jax.tree.map(many, start), count
        if count != remembered:
            one = lambda n: "one episode" if n is None else f"{n} episodes"
            raise ValueError(
                f"observation must be of {one(remembered)}, which this policy remembers, got that of {one(count)}: "
                "call reset() to begin others"
            )
        action, memory = (self._act if count is None else self._act_many)(memory, observation)
        if _is_traced((action, memory)):
            if jax.tree.leaves(memory):
                raise TypeError(
                    "this policy remembers its episode, which cannot be inside jax.jit, jax.vmap or the like; call it "
                    "with arrays, or use policy.policy.act(policy.params, memory, observation), which returns the new "
                    "memory (policy.policy.start(policy.params) is the first one)"
                )
            return action
        self._memory, self._count = memory, count
        return np.asarray(action)

    def _read(self, observation: Any) -> tuple[Any, int | None]:
        """The observation as arrays of the right dtypes, and how many it is: None for one without an axis for that."""
        leaves, tree = jax.tree.flatten(self.env.observation)
        try:
            parts = tree.flatten_up_to(observation)
            arrays: list[Any] = [x if isinstance(x, jax.core.Tracer) else np.asarray(x) for x in parts]
        except ValueError:
            raise self._refusal(observation) from None
        front = {_front(x.shape, leaf.shape) for x, leaf in zip(arrays, leaves, strict=True)}
        if len(front) > 1 or None in front or not all(map(_castable, arrays, leaves)):
            raise self._refusal(tree.unflatten(arrays))
        (count,) = front
        with np.errstate(over="ignore"):  # a float64 that no float32 reaches is infinite
            cast = [x.astype(leaf.dtype) for x, leaf in zip(arrays, leaves, strict=True)]
        return tree.unflatten(cast), count[0] if count else None

    def _refusal(self, observation: Any) -> ValueError:
        wanted, got = _spelled(self.env.observation), _spelled(observation)
        return ValueError(
            f"observation must be one of {self.env.name}, {wanted}, or several with an axis in front; got {got}"
        )

    def evaluate(self, key: jax.Array | None = None, episodes: int = 16) -> rl.Episodes:
        """Play full episodes from a key (by default that of `jaxes evaluate`); the results' leaves are [episodes]."""
        key = jax.random.key(SEED) if key is None else key
        play = rl.evaluation(self.env, self.policy, episodes=episodes)
        return (play if self.env.lanes is not None else jax.jit(play))(self.params, self.normalizer, key)

    def _apply(self, memory: Any, observation: Any) -> tuple[Any, Any]:
        if self.normalizer is not None:
            observation = norm.normalize(self.normalizer, observation)
        return self.policy.act(self.params, memory, observation)


def _is_traced(tree: Any) -> bool:
    """Whether any of it is an argument or a result of what JAX is tracing."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def _front(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axis that a shape has in front of the wanted one, () if it has none; None if it is another shape."""
    front = len(shape) - len(wanted)
    return shape[:front] if front in (0, 1) and shape[front:] == wanted else None


def _castable(x: np.ndarray, leaf: Any) -> bool:
    """Whether the numbers of an array may be those of a leaf: no float becomes an integer."""
    rank = {"b": 0, "i": 1, "u": 1, "f": 2}
    wanted = rank.get(np.dtype(leaf.dtype).kind, 2)  # bfloat16 is of the kind "V"
    return rank.get(x.dtype.kind, 3) <= wanted


def _spelled(tree: Any) -> str:
    """The dtypes and shapes of a tree of arrays."""
    one = lambda x: f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
    text = str(jax.tree.map(one, tree))
    return text.replace("'", "") if hasattr(tree, "dtype") else text


def _action(env: Env) -> str:
    match env.action:
        case Box(low, high):
            return f"float32{list(low.shape)} in [{low.min():g}, {high.max():g}]"
        case Discrete(n):
            return f"int32[] below {n}"
        case MultiDiscrete(counts):
            return f"int32[{len(counts)}] below {list(counts)}"


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
        ValueError: if it is the folder of a sweep, its settings are unknown to this version of jaxes, or `env` and
            `policy` are missing or do not fit what was trained.

    >>> policy = jaxes.load("runs/brax-hopper-open_es-0")  # doctest: +SKIP
    >>> action = policy(observation)  # doctest: +SKIP
    """
    folder = Path(folder)
    about.require(folder, "trained policy", about.NAME, "policy.msgpack")
    if env is None or policy is None:
        made = actor(settings.load(folder / about.NAME))
        env, policy = made[0] if env is None else env, made[1] if policy is None else policy
    found = _found(folder / "policy.msgpack")
    normalizer = jax.eval_shape(lambda: norm.init(env.observation)) if found["normalizer"] else None
    parts = jax.eval_shape(policy.init, jax.random.key(0)), normalizer
    wanted = _plain(*jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), parts))
    shapes = [{_name(path): np.shape(x) for path, x in jax.tree_util.tree_leaves_with_path(t)} for t in (found, wanted)]
    if shapes[0] != shapes[1]:
        name = min(name for name, _ in shapes[0].items() ^ shapes[1].items())
        has, makes = (f"{list(of[name])}" if name in of else "nothing" for of in shapes)
        version = "" if shapes[0].keys() == shapes[1].keys() else ", or one of another version of jaxes"
        raise ValueError(f"{folder} holds another policy than was given{version}: {name} is {has}, wanted {makes}")
    leaves = jax.tree.map(lambda _, x: x, wanted, found)
    return Trained(env, policy, *_like(parts, leaves))


def _found(path: Path) -> dict[str, Any]:
    """What `save` has written; ValueError if it is something else. Fields that came later are filled in."""
    try:
        found = serialization.msgpack_restore(path.read_bytes())
    except Exception as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict) or not {"params", "normalizer"} <= set(found):
        raise ValueError(f"{path} must hold params and a normalizer, as jaxes writes them; it holds something else")
    if found["normalizer"]:
        found["normalizer"] = {**_LATER, **found["normalizer"]}
    return found


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
