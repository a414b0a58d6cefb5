"""Checkpoints by Orbax: everything that a run carries in one tree, written atomically; the last two are kept.

On disk there are plain arrays (random keys as their numbers), so that any number of devices can read what one process
has saved.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxes.training import origin as origins


class Checkpoints:
    """The checkpoints in one folder.

    Args:
        folder: created if it is missing. Checkpoints that a killed process has half written are ignored and removed.
    """

    def __init__(self, folder: Path):
        import orbax.checkpoint as ocp

        folder.mkdir(parents=True, exist_ok=True)
        self._args = ocp.args
        mine = jax.process_index()  # of several processes the one that saves must not wait for the others
        alone = ocp.options.MultiprocessingOptions(primary_host=mine, active_processes={mine})
        options = ocp.CheckpointManagerOptions(
            max_to_keep=2,
            create=False,
            cleanup_tmp_directories=True,
            enable_async_checkpointing=False,
            multiprocessing_options=alone,
        )
        handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options, item_handlers=handler)

    @property
    def latest(self) -> int | None:
        """The generation of the newest complete checkpoint, None if there is none."""
        return self._manager.latest_step()

    def save(self, generation: int, tree: Any, origin: Any = None) -> None:
        """Save a tree of arrays, and return when it is on disk; `origin` says which run it is of."""
        if generation != self.latest:
            metadata = {"layout": _layout(tree), "origin": origin}
            save = self._args.StandardSave(_plain(tree))
            self._manager.save(generation, args=save, force=True, custom_metadata=metadata)

    def load(self, like: Any, origin: Any = None) -> Any:
        """The newest checkpoint.

        Args:
            like: a tree of arrays with the shapes and dtypes that were saved.
            origin: of the run that would go on with it, see `jaxes.training.origin`; None for any.

        Returns:
            A tree like `like`.

        Raises:
            ValueError: if the checkpoint has another origin, another tree, other shapes or dtypes; the message says
                what differs.
        """
        generation = self.latest
        held = self._manager.metadata(generation).custom_metadata
        known = origin is not None and held.get("origin") is not None
        differences = origins.differences(held["origin"], origin) if known else []
        differences += _differences(held["layout"], _layout(like))
        if differences:
            other = "" if set(held["layout"]) == set(_layout(like)) else "by another version of jaxes, or "
            raise ValueError(
                f"checkpoint {generation} was made {other}with other settings: {'; '.join(differences[:3])}"
                + (f" and {len(differences) - 3} more" if len(differences) > 3 else "")
            )
        found = self._manager.restore(generation, args=self._args.StandardRestore(_plain(like)))
        return jax.tree.map(_array, found, like)

    def close(self) -> None:
        self._manager.close()


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _plain(tree: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if _is_key(x) else x), tree)


def _array(x: np.ndarray, like: jax.Array) -> jax.Array:
    """An array that may go to any device, like a new one, so that the same executable accepts it."""
    return jax.random.wrap_key_data(jnp.asarray(x), impl=jax.random.key_impl(like)) if _is_key(like) else jnp.asarray(x)


def _layout(tree: Any) -> dict[str, str]:
    """The dtype and shape of every leaf by its name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path).lstrip("."): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _differences(have: dict[str, str], want: dict[str, str]) -> list[str]:
    """The differences between the layout of a checkpoint and the one that is wanted, in words."""
    out = [f"{name} is missing" for name in want if name not in have]
    out += [f"{name} is in it but not wanted" for name in have if name not in want]
    return out + [f"{n} is {have[n]}, wanted {want[n]}" for n in want if n in have and have[n] != want[n]]
