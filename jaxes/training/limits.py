"""When a run stops."""

import dataclasses
import math
from typing import Any

from jaxes.support import checks, words
from jaxes.support.numerals import plain


@dataclasses.dataclass(frozen=True)
class Limits:
    """A run stops at whichever of these comes first; they count all sessions of the run."""

    generations: int | None = None
    steps: int | None = None
    seconds: float | None = None
    target: float | None = None

    def check(self) -> "Limits":
        """Return the limits as Python's numbers; raise ValueError for those that no run can reach."""
        given = {name: plain(value) for name, value in dataclasses.asdict(self).items() if value is not None}
        for name in {"generations", "steps"} & given.keys():
            checks.integer(name, given[name])
        if "seconds" in given:
            checks.real("seconds", given["seconds"], "above 0 and finite", lambda x: 0 < x < math.inf)
        if "target" in given:
            checks.real("target", given["target"], "that is finite", math.isfinite)
        return Limits(**given)

    def reached(self, generation: int, steps: int, seconds: float) -> str | None:
        """The name of a limit that these totals reach, None if they reach none."""
        for name, now in (("generations", generation), ("steps", steps), ("seconds", seconds)):
            limit = getattr(self, name)
            if limit is not None and now >= limit:
                return name
        return None

    def hit(self, score: float | None) -> bool:
        """Whether an evaluation's mean score reaches the target."""
        return score is not None and self.target is not None and score >= self.target

    def told(self, reached: str, generation: int) -> str:
        """In words, that a limit has ended the run after so many generations."""
        if reached == "generations":
            return f"done after {words.count(generation, 'generation')}"
        limit = reached if reached == "target" else f"limit of {getattr(self, reached):.12g} {reached}"
        return f"{limit} reached at generation {generation}"

    def refuse(self, run: Any, generation: int, steps: int, seconds: float, confirmed: float | None) -> None:
        """Raise ValueError if a run that would go on is at a limit, or at the target on fresh episodes."""
        reached = self.reached(generation, steps, seconds)
        if reached is not None:
            now = {"generations": generation, "steps": steps, "seconds": seconds}[reached]
            limit = f"{getattr(self, reached):.12g} {reached}"
            beyond = "" if now == getattr(self, reached) else f", with {now:.12g} already"
            raise ValueError(f"{run} has reached its limit of {limit}{beyond}: give a higher one to go on")
        if confirmed is not None and self.hit(confirmed):
            raise ValueError(
                f"{run} has reached its target of {self.target:g} ({confirmed:.4g} on fresh episodes): "
                "give a higher one, or none, to go on"
            )

    def lengths(self) -> dict[str, float]:
        """The limits by which the length of a run is known."""
        every = {name: getattr(self, name) for name in ("generations", "steps", "seconds")}
        return {name: limit for name, limit in every.items() if limit is not None}
