"""The process of a worker: `python -m jaxes.rl.host.worker FD`, started by `jaxes.rl.host.here`.

It answers messages on a connection until the connection closes: it receives (name, arguments) and sends ("ok", answer)
or ("error", text).
"""

import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

import jax

from jaxes.rl.host.player import Player


class Worker:
    """Does what a worker is asked to do, in a process of its own or in the caller's."""

    def __init__(self, lanes: Any, count: int):
        """`lanes(count)` makes the lanes; it may be pickled."""
        make = pickle.loads(lanes) if isinstance(lanes, bytes) else lanes
        self._lanes = make(count)
        self._players: dict[int, Player] = {}

    def load(self, number: int, program: Any) -> None:
        """Remember a program by its number."""
        self._players[number] = Player(self._lanes, program)

    def begin(self, number: int, job: Any) -> None:
        """Take a job, to be played by the program of this number."""
        self._playing = self._players[number]
        self._playing.begin(job)

    def play(self, slots: list[int], more: bool, seconds: float = 1.0) -> Any:
        """What `Player.play` returns, and the seconds spent in the policy and in all."""
        results, left = self._playing.play(slots, more, seconds)
        return results, left, (self._playing.acting, self._playing.playing)


def serve(connection: Connection) -> None:
    """Answer until the other side closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where the starter has not blocked it
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # whoever calls a policy waits: a quarter of the time
    worker: Any = None
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):  # the parent has ended, perhaps in the middle of a message
            return
        try:
            if name == "make":  # not answered: the starter goes on meanwhile, and hears of errors next time
                paths, lanes, count = arguments
                sys.path[:] = paths
                worker = Worker(lanes, count)
                continue
            answer = "ok", getattr(worker, name)(*arguments)
        except Exception:
            answer = "error", traceback.format_exc()
        try:
            connection.send(answer)
        except OSError:
            return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
