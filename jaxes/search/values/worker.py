"""The process of a worker: `workers.py` starts it by its path, so that it imports what `f` needs alone.

It receives `(sys.path, sys.argv, pickled f)`, then pickled members, and answers each member with (kind, pickled
value): "value" or "error", whose value is (exception or None, its text, its traceback). It ends when the pipe closes,
also in the middle of an evaluation, with all that it has started.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 0.4  # seconds in which Python may end by itself


def serve(connection: Connection) -> None:
    """Answer until the other side closes the connection."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # of the user's processes, which inherit it
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, os.getppid(), inbox), daemon=True).start()
    f = None
    while (message := inbox.get()) is not None:
        try:
            if f is None:
                sys.path[:], sys.argv[:], sent = message
                message, f = sent, _load(sent)
                continue
            answer = "value", _value(f(pickle.loads(message)))
        except BaseException as error:
            answer = "error", _told(error)
        try:
            connection.send(answer)
        except OSError:
            return


def _load(sent: bytes) -> Any:
    """What is called with members: f, or what says at the first call why there is no f."""
    try:
        return pickle.loads(sent)
    except Exception as error:
        text = f"f cannot be made in a worker process ({type(error).__name__}: {error})"
        failure = RuntimeError(text).with_traceback(error.__traceback__)

        def f(member: Any) -> None:
            raise failure

        return f


def _read(connection: Connection, parent: int, inbox: queue.SimpleQueue) -> None:
    """Put what arrives into the inbox, and None at the end: when the pipe closes or the parent has died."""
    try:
        while True:
            while not connection.poll(1.0):
                if os.getppid() != parent:  # a fork of the parent may hold the pipe open
                    raise EOFError
            inbox.put(connection.recv())
    except (EOFError, OSError):
        inbox.put(None)
    time.sleep(PATIENCE)
    os.killpg(0, signal.SIGKILL)


def _value(value: Any) -> bytes:
    try:
        return _dumped(value)
    except Exception as error:
        kind = type(value).__name__
        raise TypeError(f"f returned a {kind}, which cannot be sent from a worker process ({error})") from error


def _dumped(value: Any) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # of a class of the user's script, perhaps
        import cloudpickle

        return cloudpickle.dumps(value)


def _told(error: BaseException) -> bytes:
    """(exception or None if it cannot be sent, its text, its traceback), pickled."""
    text = "".join(traceback.format_exception(error))
    summary = "".join(traceback.format_exception_only(error)).strip()
    try:
        sent = _dumped((error, summary, text))
        pickle.loads(sent)
        return sent
    except Exception:
        return pickle.dumps((None, summary, text))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
