"""What follows a run that has ended: runs with larger populations, or by turns with small ones."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxes.support import checks


class Plan(NamedTuple):
    """Of one run."""

    larger: float  # factor for the population size
    scale: float  # factor for sigma
    allowed: float  # evaluations that it may take


def check(restarts: Any, budget: Any) -> None:
    """Raise unless `restarts` says what follows, and an end is certain."""
    if isinstance(restarts, str):
        checks.choice("kind of restarts", restarts, ("ipop", "bipop"))
        if budget is None:
            raise ValueError(f"restarts={restarts!r} go on until the budget is spent, so budget must be given")
    elif restarts is not None and not checks.is_integer(restarts, 0):
        raise ValueError(f"restarts must be None, a number of 0 or more, 'ipop' or 'bipop', got {restarts!r}")


class Restarts:
    """The runs of a search, one after the other; `run` is the number of the present one, -1 before the first.

    Args:
        kind: None for a single run; a number of further runs, each with twice the population of the one before; "ipop":
            as many as there may be; "bipop": as in Hansen 2009, "Benchmarking a BI-population CMA-ES on the BBOB-2009
            function testbed", section 2.
    """

    def __init__(self, kind: int | Literal["ipop", "bipop"] | None):
        self.kind = kind
        self.run, self._large, self._small = -1, 0, False
        self._spent, self._before = [0.0, 0.0], 0

    def next(self, rng: np.random.Generator, nfev: int) -> Plan | None:
        """The plan of the next run; None if there is no other.

        Args:
            rng: what small runs are drawn from.
            nfev: evaluations until now.
        """
        if self.run >= 0 and (self.kind is None or (isinstance(self.kind, int) and self.run >= self.kind)):
            return None
        self.run += 1
        if self.run == 0:
            return Plan(1, 1.0, math.inf)
        if self.kind != "bipop":
            return Plan(2.0**self.run, 1.0, math.inf)
        # The regime that has spent less goes next; the first run belongs to neither.
        if self.run > 1:
            self._spent[self._small] += nfev - self._before
        self._before = nfev
        self._small = self._large > 0 and self._spent[1] < self._spent[0]
        if not self._small:
            self._large += 1
            return Plan(2.0**self._large, 1.0, math.inf)
        u, v = rng.uniform(size=2)
        return Plan(max(1.0, (0.5 * 2**self._large) ** (u**2)), 10 ** (-2 * v), max(self._spent[0] / 2, 1))

    def state(self) -> list[Any]:
        """What `restore` takes."""
        return [self.run, self._large, self._small, *self._spent, self._before]

    def restore(self, state: list[Any]) -> None:
        """Go on from what `state` has returned."""
        self.run, self._large, self._small, *self._spent, self._before = state
