"""The folder of a search: what `jaxes plot` draws, and what the search goes on from."""

import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HISTORY = "history.json"
STATE = "search.npz"
_LEAST_SECONDS = 1.0  # between two times that a folder is written
_SHARE = 20  # times as long as writing takes, so that it costs 5 % at most


class Record:
    """Writes the state of a search and its history, each file at once or not at all.

    Args:
        folder: where; made if it is not there.
    """

    def __init__(self, folder: str | Path):
        if not isinstance(folder, str | Path) or str(folder) in ("", "."):
            raise TypeError(f"out must be the path of a folder, got {folder!r}")
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"out must be a folder, but {self.folder} is a file")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._next = time.monotonic() + _LEAST_SECONDS

    def refuse(self) -> None:
        """Raise if there is a search that would be lost."""
        kept = self.read()
        if kept is not None and kept[1]["nfev"]:
            raise FileExistsError(
                f"out={str(self.folder)!r} holds a search of {kept[1]['nfev']} evaluations: go on with it by "
                "resume=True, or give another folder"
            )

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() >= self._next

    def write(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], end: Mapping[str, Any]) -> None:
        """Write both files.

        Args:
            arrays: all arrays of the state.
            meta: its other values, as JSON has them.
            end: what `history.json` tells beside the history.
        """
        began = time.monotonic()
        everything: dict[str, Any] = {**arrays, "meta": np.array(json.dumps(meta))}
        self._replace(STATE, lambda file: np.savez(file, **everything))
        columns = {
            name.removeprefix("history "): np.asarray(values, dtype=float).tolist()
            for name, values in arrays.items()
            if name.startswith("history ") and np.ndim(values)
        }
        text = json.dumps({**end, "history": columns})
        self._replace(HISTORY, lambda file: file.write(text.encode()))
        now = time.monotonic()
        self._next = now + max(_LEAST_SECONDS, _SHARE * (now - began))

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The arrays and other values that were written last; None if there are none.

        Raises:
            ValueError: if the file is none of a search.
        """
        path = self.folder / STATE
        if not path.exists():
            return None
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in file.files}
            return arrays, json.loads(str(arrays.pop("meta")))
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not the state of a search: {error}") from None

    def _replace(self, name: str, write: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f".{name}.tmp"
        with scratch.open("wb") as file:
            write(file)
        scratch.replace(self.folder / name)
