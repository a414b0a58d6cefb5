"""Compiled programs that outlive a process, in a folder of this library's own.

The folder is `JAXES_CACHE`, or `jaxes/programs` in the user's folder for caches; `JAXES_CACHE=off` keeps none. A file's
name is a digest of all that a program depends on: the strategy and its settings, shapes, the versions and sources of
jaxes and JAX, and the machine. Where JAX has been told to keep compiled programs itself (`JAX_COMPILATION_CACHE_DIR`),
nothing is kept here: what it has read cannot be written again.
"""

import functools
import hashlib
import os
import pickle
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import jaxes

VARIABLE = "JAXES_CACHE"
_CONFIG: Any = jax.config
_MOST = 256  # files; those that have not been used for longest are removed


def folder() -> Path | None:
    """Where programs are kept; None if they are not."""
    given = os.environ.get(VARIABLE, "")
    if given.lower() in ("off", "0", "none", "false", "no") or _CONFIG.jax_compilation_cache_dir:
        return None
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxes" / "programs"


def kept(function: Callable[..., Any], name: str, recipe: Any, inputs: tuple, outputs: Callable[[int], Any]) -> Any:
    """The function, compiled for inputs like these, and read from the folder if it is there.

    Args:
        function: of trees of arrays, as `jax.jit` takes it.
        name: of the function among those with this recipe.
        recipe: what it is made of; unless it can be pickled, the program is not kept.
        inputs: trees of arrays.
        outputs: from the number of the outputs' leaves to a tree with their structure.

    Returns:
        A function of trees like `inputs`.
    """
    where = _path(name, recipe, inputs)
    if where is None:
        return jax.jit(function)
    leaves, tree = jax.tree.flatten(inputs)
    loaded = _loaded(where, len(leaves), outputs)
    if loaded is None:
        return _compiled(function, inputs, where)
    try:
        jax.block_until_ready(loaded(tree, inputs))
    except Exception:  # it can be read, but not run
        return _compiled(function, inputs, where)
    return lambda *args: loaded(tree, args)


def _compiled(function: Callable[..., Any], inputs: tuple, where: Path) -> Callable[..., Any]:
    """Compile, and keep."""
    leaves, tree = jax.tree.flatten(inputs)
    notes: list[Any] = []

    def flat(*leaves):
        out, structure = jax.tree.flatten(function(*tree.unflatten(leaves)))
        notes[:] = [structure]
        return out

    program = jax.jit(flat).lower(*leaves).compile()
    structure = notes[0]
    try:
        from jax.experimental.serialize_executable import serialize

        _write(where, pickle.dumps((serialize(program)[0], structure.num_leaves)))
    except Exception:  # a backend that cannot, or a folder that cannot be written: compile the next time, too
        pass
    return lambda *args: structure.unflatten(program(*jax.tree.leaves(args)))


def _loaded(where: Path, count: int, outputs: Callable[[int], Any]) -> Callable[..., Any] | None:
    try:
        from jax.experimental.serialize_executable import deserialize_and_load

        payload, number = pickle.loads(where.read_bytes())
        structure = jax.tree.structure(outputs(number))
        if structure.num_leaves != number:
            return None
        flat_in = jax.tree.structure(((0,) * count, {}))
        program = deserialize_and_load(payload, flat_in, jax.tree.structure([0] * number))
        os.utime(where)
    except Exception:  # none is there, or one that cannot be read
        return None
    return lambda tree, args: structure.unflatten(program(*tree.flatten_up_to(args)))


def _path(name: str, recipe: Any, inputs: tuple) -> Path | None:
    at = folder()
    if at is None:
        return None
    try:
        settings = pickle.dumps(recipe)
    except Exception:
        return None
    leaves, tree = jax.tree.flatten(inputs)
    shapes = [(str(x.dtype), x.shape) for x in leaves]
    config = _CONFIG.jax_default_matmul_precision, _CONFIG.jax_threefry_partitionable
    digest = hashlib.sha256(repr((name, settings, shapes, str(tree), config, _surroundings())).encode())
    return at / f"{digest.hexdigest()[:40]}.program"


def _write(where: Path, data: bytes) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    scratch = where.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_bytes(data)
    scratch.replace(where)
    files = sorted(where.parent.glob("*.program"), key=lambda path: path.stat().st_mtime)
    for path in files[:-_MOST]:
        path.unlink(missing_ok=True)


@functools.cache
def _surroundings() -> tuple[Any, ...]:
    """What a program depends on beside its settings."""
    import jaxlib

    sources = sorted(Path(jaxes.__file__).parent.rglob("*.py"))
    stamps = hashlib.sha256(repr([(str(x), x.stat().st_mtime_ns, x.stat().st_size) for x in sources]).encode())
    processor = Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else [platform.processor()]
    flags = sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))} or {lines[0]})
    device = jax.devices()[0]
    names = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
    variables = tuple(os.environ.get(name, "") for name in names)
    versions = jax.__version__, jaxlib.__version__
    return *versions, stamps.hexdigest(), flags, device.platform, device.device_kind, variables
