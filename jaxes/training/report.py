"""What a run tells its caller after a chunk of generations."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxes.strategy import Info


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """A run after a chunk of generations; printed, it is short."""

    generation: int  # generations so far
    seconds: float  # of training so far, compiling and evaluation included
    info: Info  # of the last generation, as Python numbers
    evaluation: float | None  # mean score of the recommended parameters, None without an evaluation
    confirmation: float | None  # the same on fresh episodes, where the evaluation had reached the target
    metrics: dict[str, Any]  # the row of metrics.jsonl
    state: Any  # of the strategy
    problem_state: Any
    params: Any  # the recommended ones
    stopped: str | None  # the limit that ended the run: "generations", "steps", "seconds" or "target"; else None
    folder: Path | None = None  # where the run is kept, if this process writes it

    def __repr__(self) -> str:
        told: dict[str, Any] = {"generation": self.generation, "steps": self.metrics.get("steps")}
        told |= {"seconds": round(self.seconds, 1), "mean": _rounded(float(self.info.mean))}
        told |= {"evaluation": _rounded(self.evaluation), "confirmation": _rounded(self.confirmation)}
        told |= {"stopped": self.stopped, "folder": None if self.folder is None else str(self.folder)}
        known = ", ".join(f"{name}={value!r}" for name, value in told.items() if value is not None)
        return f"Report({known}, ...)"


def _rounded(value: float | None) -> float | None:
    """Four digits, for a person."""
    return None if value is None else float(f"{value:.4g}")
