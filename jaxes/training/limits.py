"""When a run stops."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """A run stops at whichever of these comes first; they count all sessions of the run."""

    generations: int | None = None
    steps: int | None = None
    seconds: float | None = None
    target: float | None = None

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

    def lengths(self) -> dict[str, float]:
        """The limits by which the length of a run is known."""
        every = {name: getattr(self, name) for name in ("generations", "steps", "seconds")}
        return {name: limit for name, limit in every.items() if limit is not None}
