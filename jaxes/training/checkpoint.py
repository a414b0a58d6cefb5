"""Checkpoints by Orbax: the whole carry of a run in one tree, the last two kept, written atomically."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Checkpoints:
    """The checkpoints in one folder.

    Args:
        folder: created if it is missing. Half-written checkpoints of a killed process are ignored and removed.
    """

    def __init__(self, folder: Path):
        from orbax.checkpoint import v1

        self._manager = v1.training.Checkpointer(
            folder.absolute(),
            preservation_policy=v1.training.preservation_policies.LatestN(2),
            cleanup_tmp_directories=True,
        )

    @property
    def latest(self) -> int | None:
        """The generation of the newest whole checkpoint, None if there is none."""
        newest = self._manager.latest
        return None if newest is None else newest.step

    def save(self, generation: int, tree: Any) -> None:
        """Save now, and return when it is on disk."""
        if generation != self.latest:
            self._manager.save(generation, tree, force=True, custom_metadata={"layout": _layout(tree)})

    def load(self, like: Any) -> Any:
        """The newest checkpoint.

        Args:
            like: a tree of arrays, as it was saved.

        Raises:
            ValueError: if it was made with other settings: another tree, other shapes or dtypes.
        """
        generation = self.latest
        differences = _differences(self._manager.metadata(generation).custom_metadata["layout"], _layout(like))
        if differences:
            raise ValueError(
                f"checkpoint {generation} was made with other settings: {'; '.join(differences[:3])}"
                + (f" and {len(differences) - 3} more" if len(differences) > 3 else "")
            )
        return jax.tree.map(_uncommitted, self._manager.load(generation, like))

    def close(self) -> None:
        self._manager.close()


def _uncommitted(x: jax.Array) -> jax.Array:
    """The same array, free to go to any device, as `init` would make it: so that the same executable fits it."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_uncommitted(jax.random.key_data(x)), impl=jax.random.key_impl(x))
    return jnp.asarray(np.asarray(x))


def _layout(tree: Any) -> dict[str, str]:
    """Name and type of every leaf."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path).lstrip("."): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _differences(have: dict[str, str], want: dict[str, str]) -> list[str]:
    """What differs between a checkpoint's layout and the one that is wanted, in words."""
    out = [f"{name} is missing" for name in want if name not in have]
    out += [f"{name} is in it but not wanted" for name in have if name not in want]
    return out + [f"{n} is {have[n]}, wanted {want[n]}" for n in want if n in have and have[n] != want[n]]
