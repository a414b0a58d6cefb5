"""What a run's folder says of the run: `config.json`."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxes.support.numerals import plain

NAME = "config.json"

_PACKAGES = {  # module -> its distribution; those that are imported are named with their versions
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax": "flax",
    "numpy": "numpy",
    "optax": "optax",
    "ale_py": "ale-py",
    "brax": "brax",
    "envpool": "envpool",
    "gymnasium": "gymnasium",
    "gymnax": "gymnax",
    "mujoco": "mujoco",
    "mujoco.mjx": "mujoco-mjx",
    "mujoco_playground": "playground",
}


def versions() -> dict[str, str]:
    """The versions of jaxes, of Python, and of the packages that a run's numbers depend on."""
    import jaxes

    found = {"jaxes": jaxes.__version__, "python": platform.python_version()}
    for module, distribution in _PACKAGES.items():
        if module in sys.modules:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # where it is a source tree
                found[distribution] = importlib.metadata.version(distribution)
    return found


def check(settings: Any) -> None:
    """Raise TypeError for what `jaxes.fit` cannot keep as settings: anything but a `Config`, or names and values."""
    named = isinstance(settings, Mapping) and all(isinstance(name, str) for name in settings)
    if not (settings is None or named or (dataclasses.is_dataclass(settings) and not isinstance(settings, type))):
        raise TypeError(f"settings must be names and values, such as {{'lr': 0.1}}, or a Config, got {settings!r}")


def described(settings: Any) -> dict[str, Any]:
    """What a folder says of its run: a `Config` whole, or what the caller of `jaxes.fit` has to say (None or names and
    values), whose strategy, problem and policy are objects without names."""
    if isinstance(settings, Mapping) or settings is None:
        return {"written_by": "jaxes.fit", "settings": plain({**(settings or {})})}
    return dataclasses.asdict(settings)


def write(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write `config.json` at once or not at all; settings that are None are left out."""
    kept = {name: value for name, value in settings.items() if value is not None}
    scratch = folder / f".{NAME}.tmp"
    scratch.write_text(json.dumps({**kept, "versions": versions()}, indent=2, default=str) + "\n")
    os.replace(scratch, folder / NAME)


def read(folder: str | Path) -> dict[str, Any] | None:
    """What `write` has written, None if the folder has none."""
    path = Path(folder) / NAME
    return json.loads(path.read_text()) if path.is_file() else None


def is_by_fit(values: Mapping[str, Any]) -> bool:
    """Whether the folder was written by `jaxes.fit`, from objects of a Python program."""
    return values.get("written_by") == "jaxes.fit"


def require(folder: Path, what: str, *files: str) -> None:
    """Raise FileNotFoundError unless the folder has these files, ValueError if it is that of a sweep.

    Args:
        folder: of a run, one hopes.
        what: a run has, for the message.
        files: names.
    """
    from jaxes.training import sweeping

    sweeping.refuse(folder)
    for name in files:
        if not (folder / name).is_file():
            lacks = f"it has no {name}{runs_in(folder)}" if folder.is_dir() else absent(folder)
            raise FileNotFoundError(f"{folder} holds no {what}: {lacks}")


def absent(folder: Path) -> str:
    """That there is no such folder, and which runs are beside where it should be."""
    return f"there is no such folder{runs_in(folder.parent, 'there')}"


def runs_in(folder: Path, where: str = "in it", most: int = 5) -> str:
    """Which runs are in a folder, to end a message with; "" if there are none."""
    runs = sorted(str(path.parent) for path in folder.glob(f"*/{NAME}"))
    more = f" and {len(runs) - most} more" if len(runs) > most else ""
    return f"; runs {where}: {', '.join(runs[:most])}{more}" if runs else ""
