"""What a person sees of a long run: a bar in a terminal or notebook, a line now and then in a log file."""

import os
import sys
import time
from typing import Any, NamedTuple


class Progress:
    """Shows how far a run is.

    A terminal gets one line that fits into its width. Where it is narrow the bar is shortened first, then words; the
    generation, the score, the speed and the time that is left stay.

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
        self._whole = ""  # what that is a share of
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
            self._draw(_Part(f"next {share:.0%}", optional=True))

    def say(self, text: str) -> None:
        """Show a state of affairs, such as compiling."""
        self._parts, self._saying = [_Part(text)], True
        self._draw()
        if not self._interactive and self._enabled and time.monotonic() - self._last_line > self.LOG_SECONDS:
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
        rates = [(limit - now[name]) * _pace(now, start, name) for name, limit in self._limits.items()]
        value, name = (row["mean"], "mean") if score is None else (score, self._measure)
        parts = [_Part(f"generation {row['generation']}", f"gen {row['generation']}")]
        aim = "" if score is None or self._target is None else f" (target {self._target:.4g})"
        parts.append(_Part(f"{name} {value:.4g}{aim}", f"{name} {value:.4g}"))
        if row.get("steps_per_second"):
            speed = _short(row["steps_per_second"])
            parts.append(_Part(f"{speed} {self._unit}/s", f"{speed}/s"))
        parts.append(_Part(f"{_clock(min(rates))} left" if rates else _clock(row["seconds"])))
        fresh = row["evaluation"]
        self._parts, self._saying = parts, False
        if self._limits:
            self._done, nearest = max((min(now[name] / limit, 1.0), name) for name, limit in self._limits.items())
            self._whole = _amount(nearest, self._limits[nearest], self._unit)
        if self._interactive:
            self._draw()
        elif time.monotonic() - self._last_line > (self.LOG_SECONDS if fresh is None else self.SCORE_SECONDS):
            self._line(_SEPARATOR.join(part.text for part in parts))

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

    def _draw(self, *more: "_Part") -> None:
        if not (self._enabled and self._interactive):
            return
        parts = [*self._parts, *more]
        if self._terminal:
            line = fitted(self._title, self._done, parts, _columns() - 1, self._whole)
            self._write(f"\r{line.ljust(self._written)}")
            self._written = len(line)
            return
        if self._bar is None:
            self._bar = self._made()
        self._bar.n = self._done or 0.0
        self._bar.set_description_str(_SEPARATOR.join(part.text for part in parts))

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


def fitted(title: str, done: float | None, parts: list[_Part], width: int, whole: str = "") -> str:
    """The longest form of the line that has at most `width` columns; `whole` is what the percents are of.

    >>> parts = [_Part("generation 7", "gen 7"), _Part("score 3"), _Part("next 40%", optional=True)]
    >>> fitted("brax/ant", 0.25, parts, 90, "28 generations")
    'brax/ant  25% of 28 generations |█████               | generation 7 · score 3 · next 40%'
    >>> fitted("brax/ant", 0.25, parts, 60)
    'brax/ant  25% |██▌       | generation 7 · score 3 · next 40%'
    >>> fitted("brax/ant", 0.25, parts, 41)
    'brax/ant  25% gen 7 · score 3 · next 40%'
    >>> fitted("brax/ant", 0.25, parts, 25)
    'ant  25% gen 7 · score 3'
    """
    every = _SEPARATOR.join(part.text for part in parts)
    short = _SEPARATOR.join(part.short or part.text for part in parts)
    least = _SEPARATOR.join(part.short or part.text for part in parts if not part.optional)
    name = title.rpartition("/")[2]
    share = "" if done is None else f" {done:4.0%}"
    if done is not None:
        of = [(f"{title}{share} of {whole}", every)] if whole else []
        for head, words in (*of, (title + share, every), (title + share, short)):
            room = width - len(f"{head} || {words}")
            if room >= 5:
                return f"{head} |{_drawn(done, min(room, 20))}| {words}"
    heads = [(title, every)] if done is None else []
    line = ""
    for head, words in (*heads, (title + share, short), (name + share, short), (name + share, least), ("", least)):
        line = f"{head} {words}".strip()
        if len(line) <= width:
            return line
    return line[:width]


def _drawn(done: float, length: int) -> str:
    """A bar of `length` columns."""
    eighths = round(8 * length * done)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(length)


def _amount(name: str, limit: float, unit: str) -> str:
    """A limit in words."""
    return _clock(limit) if name == "seconds" else f"{_short(limit)} {unit if name == 'steps' else name}"


def _columns() -> int:
    """The width of the terminal that stderr is."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


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
