"""What a person sees of a long run."""

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import time

import pytest

from jaxes.support.progress import Progress

ROW = {
    "generation": 50,
    "steps": 2_000_000,
    "seconds": 100.0,
    "mean": 7.25,
    "evaluation": None,
    "steps_per_second": 81_234.0,
}
EARLIER = {**ROW, "generation": 30, "steps": 1_200_000, "seconds": 60.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch, columns=130):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    return screen


def lines(screen):
    return [line.strip() for line in re.split(r"[\r\n]+", screen.getvalue()) if line.strip()]


def test_a_terminal_gets_a_bar_with_generation_score_speed_and_time_left(monkeypatch):
    screen = terminal(monkeypatch)
    bar = Progress("brax/{odd}", {"generations": 200, "seconds": 1000.0}, target=475.0)
    bar.say("compiling, 3 s")
    bar.show(EARLIER, None)
    bar.show(ROW, None)
    bar.part(0.25)
    bar.show({**ROW, "generation": 100, "seconds": 200.0}, 123.4)
    bar.close("generations reached")
    text = screen.getvalue()
    assert "brax/{odd} compiling, 3 s" in text
    words = "generation 50 · mean 7.25 · 81.2k steps/s · 5:00 left"
    assert f"brax/{{odd}}  25% of 200 generations |█████               | {words}" in text
    assert "5:00 left · next  25%" in text
    assert "generation 100 · score 123.4 (target 475) · 81.2k steps/s · 3:20 left" in text
    assert text.endswith("brax/{odd}: generations reached\n")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (
            125,
            "gymnasium/Hopper-v5  25% of 200 generations |█████               | "
            "generation 50 · mean 7.25 · 81.2k steps/s · 5:00 left",
        ),
        (105, "gymnasium/Hopper-v5  25% of 200 gen |█████               | gen 50 · mean 7.25 · 81.2k/s · 5:00 left"),
        (80, "gymnasium/Hopper-v5  25% of 200 gen · gen 50 · mean 7.25 · 81.2k/s · 5:00 left"),
        (62, "gymnasium/Hopper-v5 gen 50 · mean 7.25 · 81.2k/s · 5:00 left"),
        (60, "Hopper-v5 gen 50 · mean 7.25 · 81.2k/s · 5:00 left"),
        (45, "gen 50 · mean 7.25 · 81.2k/s · 5:00 left"),
    ],
)
def test_a_narrow_terminal_loses_the_bar_and_never_says_percent_without_of_what(columns, line, monkeypatch):
    screen = terminal(monkeypatch, columns)
    bar = Progress("gymnasium/Hopper-v5", {"generations": 200, "seconds": 1000.0})
    bar.show(EARLIER, None)
    bar.show(ROW, None)
    assert lines(screen)[-1] == line
    assert len(line) < columns
    bar.part(0.4)
    assert all(len(line) < columns for line in lines(screen))
    bar.close()


@pytest.mark.parametrize(
    ("limits", "whole"),
    [
        ({"generations": 200}, "25% of 200 generations"),
        ({"seconds": 400.0}, "25% of 6:40"),
        ({"steps": 8_000_000}, "25% of 8.0M steps"),
        ({"generations": 500, "seconds": 4000.0, "steps": 4_000_000}, "50% of 4.0M steps"),  # what comes first
    ],
)
def test_the_percents_say_what_they_are_of(limits, whole, monkeypatch):
    screen = terminal(monkeypatch)
    bar = Progress("env", limits)
    bar.show(ROW, None)
    bar.close()
    assert f"env  {whole} |" in screen.getvalue()


@pytest.mark.parametrize(("lines", "columns"), [(0, 0), (0, 132), (24, 0)])
def test_a_terminal_that_does_not_know_its_size_has_80_columns(lines, columns, monkeypatch):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    monkeypatch.delenv("COLUMNS", raising=False)
    with os.fdopen(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        bar = Progress("gymnasium/Hopper-v5", {"generations": 200})
        bar.show(EARLIER, None)
        bar.show(ROW, None)
        bar.close()
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    words = "generation 50 · mean 7.25 · 81.2k steps/s · 5:00 left"
    wide = f"gymnasium/Hopper-v5  25% of 200 generations |█████               | {words}"
    narrow = "gymnasium/Hopper-v5  25% of 200 gen · gen 50 · mean 7.25 · 81.2k/s · 5:00 left"
    assert shown.strip().endswith(wide if columns else narrow)


def test_the_first_generation_of_workers_is_shown_as_soon_as_it_moves(monkeypatch):
    screen = terminal(monkeypatch)
    bar = Progress("gymnasium/Hopper-v5", {"seconds": 1000.0})
    bar.say("starting worker processes")
    bar.part(0.0)
    assert lines(screen)[-1] == "gymnasium/Hopper-v5 starting worker processes"
    bar.part(0.5)
    assert lines(screen)[-1] == "gymnasium/Hopper-v5 first generation 50%"
    bar.show(ROW, None)
    assert "generation 50" in lines(screen)[-1]
    bar.close()


def test_what_is_measured_has_its_name(monkeypatch):
    screen = terminal(monkeypatch)
    bar = Progress("minimize", {"steps": 4e6}, measure="lowest", unit="evaluations")
    bar.show(ROW, 0.5)
    assert "generation 50 · lowest 0.5 · 81.2k evaluations/s" in lines(screen)[-1]
    bar.close()


def test_a_log_file_gets_few_plain_lines(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Progress("env", {})
    for generation in range(50, 90):
        bar.show({**ROW, "generation": generation}, None)
    bar.show({**ROW, "evaluation": 7.0}, 7.0)
    now = 4.0
    bar.show({**ROW, "evaluation": 8.0}, 8.0)
    bar.close()
    assert log.getvalue().splitlines() == [
        "env: generation 50 · mean 7.25 · 81.2k steps/s · 1:40 so far",
        "env: generation 50 · score 8 · 81.2k steps/s · 1:40 so far",
    ]


def test_it_can_be_switched_off(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    bar = Progress("env", {}, enabled=False)
    bar.say("compiling")
    bar.show(ROW, None)
    bar.close("done")
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"generations": 3000}, "1:59 left"),
        ({"generations": 3000, "seconds": 90.0}, "0:34 left"),
        ({"steps": 3_000_000}, "1:59 left"),
        ({"seconds": 60.0}, "0:04 left"),
        ({}, "0:55 so far"),
    ],
)
def test_compiling_is_not_counted_into_the_time_left(limits, left, monkeypatch):
    screen = terminal(monkeypatch)
    bar = Progress("env", limits)
    bar.show({**ROW, "generation": 1, "steps": 1000, "seconds": 20.0}, None, waited=19.0)  # a first call is slow too
    first = lines(screen)[-1]
    assert first.endswith("0:40 left" if limits == {"seconds": 60.0} else "0:20 so far")
    bar.show({**ROW, "generation": 10, "steps": 10_000, "seconds": 55.36}, None, waited=54.0)  # evaluation, compiled
    assert lines(screen)[-1].endswith(left)
    bar.close()


def test_the_share_of_the_next_generation_does_not_move_the_bar(monkeypatch):
    for columns in (82, 95, 110, 130):
        screen = terminal(monkeypatch, columns)
        bar = Progress("mujoco/Hopper-v5", {"generations": 200})
        bar.part(0.5)
        shown = []
        for generation in range(10, 20):
            for share in (0.0, 0.05, 0.5, 1.0):
                bar.show({**ROW, "generation": generation}, None) if share == 0 else bar.part(share)
                shown.append(lines(screen)[-1])
        bar.close()
        assert len({len(line) for line in shown[8:]}) == 1
