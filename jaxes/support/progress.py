"""What a person sees of a long run: a bar in a terminal or notebook, a line now and then in a log file."""

import collections
import os
import sys
import time
from typing import Any, NamedTuple


class Progress:
    """Shows how far a run is.

    A terminal gets one line that fits into its width. Where it is narrow words are shortened first, then the bar; the
    generation, the score, the speed and the time that is left stay. The time that is left is told as soon as two rows
    tell how fast the run is.

    Args:
        title: stands before the bar.
        limits: name -> when to stop (generations, steps, seconds), for the bar's length; may be empty.
        enabled: False shows nothing.
        measure: what a score is called.
        unit: what is counted as steps.
        target: the score that ends the run before its limits, if any.
    """

    LOG_SECONDS = 15.0  # between two lines in a log file
    SCORE_SECONDS = 3.0  # the same, if there is a new score to tell
    SAMPLES = 60  # rows that the pace is of

    def __init__(
        self,
        title: str,
        limits: dict[str, float],
        enabled: bool = True,
        measure: str = "score",
        unit: str = "steps",
        target: float | None = None,
    ):
        self._title, self._limits, self._measure, self._unit, self._target = title, limits, measure, unit, target
        self._bar: Any = None
        self._done: float | None = None
        self._whole = _Part("")  # what that is a share of
        self._samples: collections.deque[dict[str, float]] = collections.deque(maxlen=self.SAMPLES)
        self._next = False  # whether there is something to tell of a generation before it ends
        self._parts, self._saying = [_Part("")], True
        self._last_line = -float("inf")
        self._terminal = sys.stderr.isatty()
        self._written = 0  # columns of the terminal's line
        self._interactive = self._terminal or "ipykernel" in sys.modules
        self._enabled = enabled

    def part(self, share: float) -> None:
        """Show how much of the next generation there is."""
        if share <= 0:
            return
        if self._saying:
            self._parts = [_Part(f"first generation {share:.0%}")]
            self._draw()
        else:
            self._next = True
            self._draw(share)

    def say(self, text: str) -> None:
        """Show a state of affairs, such as compiling."""
        self._parts, self._saying = [_Part(text)], True
        self._draw()
        if not self._interactive and self._enabled and time.monotonic() - self._last_line > self.LOG_SECONDS:
            self._line(text)

    def show(self, row: dict[str, Any], score: float | None, waited: float = 0.0) -> None:
        """Show a row of metrics.

        Args:
            row: as in metrics.jsonl.
            score: of the last evaluation, None before the first.
            waited: how many of the row's seconds were spent on what is done once, such as compiling; they say nothing
                of the time that is left.
        """
        if not self._enabled:
            return
        now = {"generations": row["generation"], "steps": row.get("steps") or 0, "seconds": row["seconds"]}
        self._samples.append({**now, "work": row["seconds"] - waited})
        value, name = (row["mean"], "mean") if score is None else (score, self._measure)
        parts = [_Part(f"generation {row['generation']}", f"gen {row['generation']}")]
        aim = "" if score is None or self._target is None else f" (target {self._target:.4g})"
        parts.append(_Part(f"{name} {value:.4g}{aim}", f"{name} {value:.4g}"))
        if row.get("steps_per_second"):
            speed = _short(row["steps_per_second"])
            parts.append(_Part(f"{speed} {self._unit}/s", f"{speed}/s"))
        left = self._left(now)
        parts.append(_Part(f"{_clock(row['seconds'])} so far" if left is None else f"{_clock(left)} left"))
        fresh = row["evaluation"]
        self._parts, self._saying = parts, False
        if self._limits:
            self._done, nearest = max((min(now[name] / limit, 1.0), name) for name, limit in self._limits.items())
            self._whole = _amount(nearest, self._limits[nearest], self._unit)
        if self._interactive:
            self._draw()
        elif time.monotonic() - self._last_line > (self.LOG_SECONDS if fresh is None else self.SCORE_SECONDS):
            self._line(_SEPARATOR.join(part.text for part in parts))

    def _left(self, now: dict[str, float]) -> float | None:
        """The seconds until the first limit, None if nothing tells them yet."""
        first, last = self._samples[0], self._samples[-1]
        every = []
        for name, limit in self._limits.items():
            pace = 1.0
            if name != "seconds":
                if last[name] <= first[name]:
                    return None
                pace = (last["work"] - first["work"]) / (last[name] - first[name])
            every.append((limit - now[name]) * pace)
        return min(every, default=None)

    def close(self, text: str = "") -> None:
        """End the bar; leave it and `text` on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._written:
            self._write("\n")
            self._written = 0
        if text and self._enabled:
            self._line(text)
        self._enabled = False

    def _draw(self, share: float = 0.0) -> None:
        if not (self._enabled and self._interactive):
            return
        parts = self._parts
        if self._next and not self._saying:
            parts = [*parts, _Part(f"next {share:4.0%}", optional=True)]
        if self._terminal:
            line = fitted(self._title, self._done, parts, _columns() - 1, self._whole)
            self._write(f"\r{line.ljust(self._written)}")
            self._written = len(line)
            return
        if self._bar is None:
            self._bar = self._made()
        self._bar.n = self._done or 0.0
        whole = [_Part(f"of {self._whole.text}")] if self._whole.text else []
        self._bar.set_description_str(_SEPARATOR.join(part.text for part in [*whole, *parts]))

    def _made(self) -> Any:
        """A notebook's bar."""
        from tqdm.auto import tqdm

        name = self._title.replace("{", "{{").replace("}", "}}")
        form = f"{name} {{percentage:3.0f}}% |{{bar:20}}| {{desc}}" if self._limits else f"{name} {{desc}}"
        return tqdm(total=1.0, bar_format=form, dynamic_ncols=True, file=sys.stderr)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)


class _Part(NamedTuple):
    """A part of the line."""

    text: str
    short: str = ""  # in a narrow terminal
    optional: bool = False  # whether it is left out in a narrow one


_SEPARATOR = " · "


def fitted(title: str, done: float | None, parts: list[_Part], width: int, whole: _Part = _Part("")) -> str:
    """The longest form of the line that has at most `width` columns; `whole` is what the percents are of.

    >>> parts = [_Part("generation 7", "gen 7"), _Part("score 3"), _Part("next  40%", optional=True)]
    >>> whole = _Part("28 generations", "28 gen")
    >>> fitted("brax/ant", 0.25, parts, 91, whole)
    'brax/ant  25% of 28 generations |█████               | generation 7 · score 3 · next  40%'
    >>> fitted("brax/ant", 0.25, parts, 62, whole)
    'brax/ant  25% of 28 gen |█▎   | gen 7 · score 3 · next  40%'
    >>> fitted("brax/ant", 0.25, parts, 42, whole)
    'brax/ant  25% of 28 gen · gen 7 · score 3'
    >>> fitted("brax/ant", 0.25, parts, 25, whole)
    'brax/ant gen 7 · score 3'
    """
    every = _SEPARATOR.join(part.text for part in parts)
    short = _SEPARATOR.join(part.short or part.text for part in parts)
    least = _SEPARATOR.join(part.short or part.text for part in parts if not part.optional)
    name = title.rpartition("/")[2]
    lines = [f"{title} {every}"]
    if done is not None:
        share, brief = f" {done:4.0%} of {whole.text}", f" {done:4.0%} of {whole.short or whole.text}"
        bars = [f"|{_drawn(done, length)}|" for length in (20, 10, 5)]
        lines = [f"{title}{share} {bar} {every}" for bar in bars]
        lines += [f"{title}{brief} {bar} {short}" for bar in bars]
        lines += [f"{head}{brief}{_SEPARATOR}{words}" for head in (title, name) for words in (short, least)]
    lines += [f"{head} {words}" for head in (title, name) for words in (short, least)]
    return next((line for line in lines if len(line) <= width), least[:width])


def _drawn(done: float, length: int) -> str:
    """A bar of `length` columns."""
    eighths = round(8 * length * done)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(length)


def _amount(name: str, limit: float, unit: str) -> _Part:
    """A limit in words."""
    if name == "seconds":
        return _Part(_clock(limit))
    return _Part(f"{_short(limit)} {unit if name == 'steps' else name}", f"{_short(limit)} gen" * (name != "steps"))


def _columns() -> int:
    """The width of the terminal that stderr is."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _short(number: float) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.1f}k" if number >= 1e3 else f"{number:.0f}"
