"""gymnasium's spaces: how observations become arrays for policies, and how actions become what an environment takes.

Boxes stay as they are, and so do dictionaries and tuples in which there is a picture (a box of two or more dimensions).
All else becomes one vector, as by gymnasium's `FlattenObservation`: a choice is one-hot, and parts follow one another.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxes.envs.host import for_policies
from jaxes.envs.protocol import Box, Discrete, MultiDiscrete


class Observations(NamedTuple):
    """How the observations of a space are kept."""

    shapes: Any  # a tree of jax.ShapeDtypeStruct, for policies
    blank: Callable[[int], Any]  # (lanes) -> arrays [lanes, ...], of gymnasium's dtypes
    write: Callable[[Any, int, Any], None]  # (arrays, lane, observation): raises ValueError for one that does not fit


class Actions(NamedTuple):
    """How the actions of a space are given."""

    action: Box | Discrete | MultiDiscrete
    give: Callable[[Any], Any]  # from a policy's action, a NumPy array, to the environment's


# --- observations ---------------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    """A part of a space that has no parts."""

    path: tuple[Any, ...]
    shape: tuple[int, ...]  # as an array of its own
    dtype: Any
    fill: Callable[[np.ndarray, Any], None]  # (array of that shape, value)


def observations(name: str, space: Any) -> Observations:
    """Read the observation space of an environment.

    Raises:
        ValueError: for spaces that have no fixed size, such as Text and Sequence.
    """
    leaves = list(_leaves(name, space, ()))
    if _kind(space) == "Box" and space.shape:
        return _apart(name, leaves, lambda parts: parts[0])
    if any(len(leaf.shape) > 1 for leaf in leaves):
        return _apart(name, leaves, lambda parts: _tree(space, iter(parts)))
    return _joined(name, leaves)


def _leaves(name: str, space: Any, path: tuple[Any, ...]) -> Iterator[_Leaf]:
    kind = _kind(space)
    if kind in ("Dict", "Tuple"):
        for key, part in space.spaces.items() if kind == "Dict" else enumerate(space.spaces):
            yield from _leaves(name, part, (*path, key))
    elif kind in ("Box", "MultiBinary"):
        yield _Leaf(path, space.shape, space.dtype, _copy)
    elif kind == "Discrete":
        yield _Leaf(path, (int(space.n),), np.float32, _one_hot(np.array([space.n]), np.array([space.start])))
    elif kind == "MultiDiscrete":
        yield _Leaf(path, (int(space.nvec.sum()),), np.float32, _one_hot(space.nvec.ravel(), np.ravel(space.start)))
    else:
        at = "".join(f"[{key!r}]" for key in path)
        raise ValueError(
            f"{name} must have observations of a fixed size (Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or "
            f"Tuple of them), got {space}{f' for {at}' if at else ''}"
        )


def _kind(space: Any) -> str:
    """The name of the class of a space, among gymnasium's own."""
    return next((base.__name__ for base in type(space).__mro__ if base.__module__.startswith("gymnasium.spaces")), "")


def _copy(to: np.ndarray, value: Any) -> None:
    if np.shape(value) != to.shape:
        raise ValueError(f"shape {np.shape(value)} where {to.shape} was promised")
    to[...] = value


def _one_hot(counts: np.ndarray, starts: np.ndarray) -> Callable[[np.ndarray, Any], None]:
    before = np.cumsum(counts) - counts

    def fill(to: np.ndarray, value: Any) -> None:
        chosen = np.ravel(value).astype(np.int64) - starts
        if len(chosen) != len(counts) or (chosen < 0).any() or (chosen >= counts).any():
            raise ValueError(f"{value!r} where choices among {counts.tolist()} were promised")
        to[...] = 0
        to[before + chosen] = 1

    return fill


def _apart(name: str, leaves: list[_Leaf], tree: Callable[[list[Any]], Any]) -> Observations:
    """An array for each leaf."""
    shapes = [jax.ShapeDtypeStruct(leaf.shape, for_policies(leaf.dtype)) for leaf in leaves]

    def write(arrays: Any, lane: int, observation: Any) -> None:
        for to, leaf in zip(jax.tree.leaves(arrays), ordered, strict=True):
            _fill(name, leaf, to[lane, ...], observation)

    order = jax.tree.leaves(tree(list(range(len(leaves)))))  # JAX sorts the keys of dictionaries
    ordered = [leaves[i] for i in order]
    blank = lambda count: tree([np.zeros((count, *leaf.shape), leaf.dtype) for leaf in leaves])
    if len(leaves) == 1 and not leaves[0].path:
        return Observations(shapes[0], blank, lambda arrays, lane, x: _fill(name, leaves[0], arrays[lane, ...], x))
    return Observations(tree(shapes), blank, write)


def _joined(name: str, leaves: list[_Leaf]) -> Observations:
    """One vector."""
    sizes = [int(np.prod(leaf.shape)) for leaf in leaves]
    ends = np.cumsum(sizes).tolist()
    dtype = np.result_type(np.float32, *(leaf.dtype for leaf in leaves if np.issubdtype(leaf.dtype, np.floating)))
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    def write(array: Any, lane: int, observation: Any) -> None:
        for leaf, part in zip(leaves, parts, strict=True):
            _fill(name, leaf, array[lane, part].reshape(leaf.shape), observation)

    blank = lambda count: np.zeros((count, ends[-1]), dtype)
    return Observations(jax.ShapeDtypeStruct((ends[-1],), for_policies(dtype)), blank, write)


def _fill(name: str, leaf: _Leaf, to: np.ndarray, observation: Any) -> None:
    try:
        value = observation
        for key in leaf.path:
            value = value[key]
        leaf.fill(to, value)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        at = "".join(f"[{key!r}]" for key in leaf.path)
        reason = f"has no {error}" if isinstance(error, KeyError | IndexError) else error
        raise ValueError(f"an observation{at} of {name} is none of its observation space: {reason}") from None


def _tree(space: Any, parts: Iterator[Any]) -> Any:
    """The leaves of a space as a tree of dictionaries and tuples."""
    match _kind(space):
        case "Dict":
            return {key: _tree(part, parts) for key, part in space.spaces.items()}
        case "Tuple":
            return tuple(_tree(part, parts) for part in space.spaces)
        case _:
            return next(parts)


# --- actions --------------------------------------------------------------------------------------------------------


def actions(name: str, space: Any) -> Actions:
    """Read the action space of an environment.

    Raises:
        ValueError: for spaces that are no Box, Discrete, MultiDiscrete or MultiBinary.
    """
    match _kind(space):
        case "Box":
            box = Box(space.low.astype(np.float32), space.high.astype(np.float32))
            if np.issubdtype(space.dtype, np.floating):
                return Actions(box, lambda action: action)
            return Actions(box, lambda action: np.rint(action).astype(space.dtype))
        case "Discrete":
            start = int(space.start)
            return Actions(Discrete(int(space.n)), lambda action: int(action) + start)
        case "MultiDiscrete":
            counts = MultiDiscrete(tuple(space.nvec.ravel().tolist()))
            return Actions(counts, lambda action: (action.reshape(space.shape) + space.start).astype(space.dtype))
        case "MultiBinary":
            counts = MultiDiscrete((2,) * int(np.prod(space.shape)))
            return Actions(counts, lambda action: action.reshape(space.shape).astype(space.dtype))
    raise ValueError(f"{name} must have actions that are a Box, Discrete, MultiDiscrete or MultiBinary, got {space}")
