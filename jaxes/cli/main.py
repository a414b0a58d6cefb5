"""From the words of a command line to an exit code."""

import os
import signal
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxes
from jaxes.cli import lists, minimizing, results, training
from jaxes.cli.arguments import Bench, Envs, Evaluate, Minimize, Plot, Render, Strategies, Sweep, Train, parsed
from jaxes.training.compiling import at_work, leave
from jaxes.training.config import Config
from jaxes.training.interruption import Interruption

_RUN: dict[type, Callable[[Any], int]] = {
    Train: training.train,
    Sweep: training.sweep,
    Minimize: minimizing.minimize,
    Evaluate: results.evaluate,
    Plot: results.plot,
    Render: results.render,
    Bench: lists.bench,
    Envs: lists.envs,
    Strategies: lists.strategies,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 2 for bad input, or 128 + the signal that interrupted it."""
    try:
        with Interruption(at_once=True, signals=(signal.SIGINT,)) as early:
            code = _command_line(arguments)
            sys.stdout.flush()
            if code:
                early.received = None  # the signal has been answered
    except BrokenPipeError:  # `jaxes envs | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        print("\njaxes: interrupted; nothing had to be saved", file=sys.stderr)
        leave(130)
    except Exception as error:
        if _is_told_in_a_sentence(error):
            print(f"jaxes: {error}", file=sys.stderr)
            code = 2
        elif not _among_others():
            raise
        else:
            traceback.print_exc()  # of a process that has lost the others, most likely
            code = 1
    interrupted = code > 128 and arguments is None  # all is saved: Python need not take itself apart, for a second
    if interrupted or (code and (_among_others() or at_work())):
        leave(code)  # a usual exit would wait for them
    sys.exit(code)


def _command_line(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        print(f"jaxes {jaxes.__version__}")
        return 0
    args = parsed(given)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where MODULE:NAME may be
    if arguments is None and isinstance(args, Minimize):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ends the search with what it has found
    elif arguments is None and not isinstance(args, Config):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to save: ends compilers too, which hear of nothing else
    return _RUN[type(args)](args)


def _is_told_in_a_sentence(error: Exception) -> bool:
    """Whether an error is about what the user gave, so that its text is enough; not one of a module of the user's."""
    if os.environ.get("JAXES_TRACEBACK") or not isinstance(error, ValueError | TypeError | OSError | ImportError):
        return False
    paths = sysconfig.get_paths()
    packages = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    known = [str(Path(jaxes.__file__).parent), *packages]
    files, cause = [], error
    while cause is not None:
        files += [frame.filename for frame in traceback.extract_tb(cause.__traceback__)]
        cause = cause.__cause__
    return all(file.startswith(("<", *(path + os.sep for path in known))) for file in files)


def _among_others() -> bool:
    """Whether this is one of several processes that have not parted yet."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
