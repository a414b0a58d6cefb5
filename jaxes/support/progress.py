"""What a person sees of a long run: a bar in a terminal or notebook, a line now and then in a log file."""

import sys
import time
from typing import Any


class Progress:
    """Shows how far a run is.

    Args:
        title: stands before the bar.
        limits: name -> when to stop (generations, steps, seconds), for the bar's length; may be empty.
        enabled: False shows nothing.
    """

    LOG_SECONDS = 15.0  # between two lines in a log file

    def __init__(self, title: str, limits: dict[str, float], enabled: bool = True):
        self._title, self._limits = title, limits
        self._bar: Any = None
        self._text = "starting"
        self._last_line = -float("inf")
        self._interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
        self._enabled = enabled
        if enabled and self._interactive:
            from tqdm.auto import tqdm

            name = title.replace("{", "{{").replace("}", "}}")
            bar = f"{name} {{percentage:3.0f}}% |{{bar:20}}| {{desc}}" if limits else f"{name} {{desc}}"
            self._bar = tqdm(total=1.0, bar_format=bar, dynamic_ncols=True, file=sys.stderr)
            self._bar.set_description_str(self._text)

    def part(self, share: float) -> None:
        """Show how much of the next generation there is."""
        if self._bar is not None:
            self._bar.set_description_str(f"{self._text} · next {share:.0%}")

    def say(self, text: str) -> None:
        """Show a state of affairs, such as compiling."""
        self._text = text
        if self._bar is not None:
            self._bar.set_description_str(text)
        elif self._enabled and time.monotonic() - self._last_line > self.LOG_SECONDS:
            self._line(text)

    def show(self, row: dict[str, Any], score: float | None, start: dict[str, float]) -> None:
        """Show a row of metrics.

        Args:
            row: as in metrics.jsonl.
            score: of the last evaluation, None before the first.
            start: where this part of the run began, for the time left: generation, steps and seconds.
        """
        if not self._enabled:
            return
        now = {"generations": row["generation"], "steps": row.get("steps") or 0, "seconds": row["seconds"]}
        done = max((now[name] / limit for name, limit in self._limits.items()), default=0.0)
        rates = [(limit - now[name]) * _pace(now, start, name) for name, limit in self._limits.items()]
        parts = [f"generation {row['generation']}"]
        parts.append(f"score {score:.4g}" if score is not None else f"mean {row['mean']:.4g}")
        if row.get("steps_per_second"):
            parts.append(f"{_short(row['steps_per_second'])} steps/s")
        parts.append(f"{_clock(min(rates))} left" if rates else f"{_clock(row['seconds'])}")
        self._text = text = " · ".join(parts)
        if self._bar is not None:
            self._bar.n = min(done, 1.0)
            self._bar.set_description_str(text)
        elif row["evaluation"] is not None or time.monotonic() - self._last_line > self.LOG_SECONDS:
            self._line(text)

    def close(self, text: str = "") -> None:
        """End the bar; leave it and `text` on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if text and self._enabled:
            self._line(text)
        self._enabled = False

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)


def _pace(now: dict[str, float], start: dict[str, float], name: str) -> float:
    """Seconds for one more of `name`."""
    if name == "seconds":
        return 1.0
    return (now["seconds"] - start["seconds"]) / max(now[name] - start[name], 1)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _short(number: float) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.1f}k" if number >= 1e3 else f"{number:.0f}"
