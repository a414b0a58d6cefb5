"""What is shown of an error that comes from a user's function: its own frames."""

import importlib
import re
import sysconfig
import traceback
from pathlib import Path

import jaxes
from jaxes.search.values.workers import WorkerError

_FRAME = re.compile(r'^  File "([^"]*)", line .*\n(?:    .*\n)*', re.MULTILINE)


def text_of(error: BaseException) -> str:
    """The traceback of an error, or of its cause in a worker process, without the frames of this library.

    >>> text_of(ValueError("too low"))
    'ValueError: too low'
    """
    if isinstance(error.__cause__, WorkerError):
        text = error.__cause__.args[0]
    else:
        text = "".join(traceback.format_exception(error))
    own = (str(Path(jaxes.__file__).parent), str(importlib.__file__), "<frozen ")
    return _FRAME.sub(lambda frame: "" if frame[1].startswith(own) else frame[0], text).strip()


def has_frames(text: str, *, of_user: bool = False) -> bool:
    """Whether a traceback has frames, or frames of files that are neither Python's nor those of installed packages."""
    paths = sysconfig.get_paths()
    others = tuple(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")) if of_user else ()
    return any(not frame[1].startswith((*others, "<") if of_user else ()) for frame in _FRAME.finditer(f"{text}\n"))
