"""What is being done and for how long, on a terminal and in a pipe, with a clock that is set."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from spit_edge.base import progress
from spit_edge.base.progress import EVERY, Meter, Steps, console
from spit_edge.base.sizes import size_text


class Clock:
    """Stands still until it is moved on."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_says_how_long_it_took(clock, capsys) -> None:
    with Steps().step("asking the reference"):
        assert capsys.readouterr().err == "asking the reference ... "
        clock.now += 12.34
    assert capsys.readouterr().err == "12.3 s\n"


def test_a_step_that_fails_ends_its_line(capsys) -> None:
    with pytest.raises(ValueError), Steps().step("compiling"):
        raise ValueError
    assert capsys.readouterr().err.splitlines() == ["compiling ... "]


def test_a_pipe_hears_of_a_long_loop_now_and_then(clock, capsys) -> None:
    seen = []
    for item in Steps().track("abcdefgh", "comparing", 8):
        seen.append(item)
        clock.now += 4
    assert seen == list("abcdefgh") and EVERY == 10
    assert capsys.readouterr().err.splitlines() == [
        "comparing 3 of 8 12.0 s",
        "comparing 6 of 8 24.0 s",
        "comparing 8 of 8 32.0 s",
    ]


def test_a_loop_that_fails_says_no_more(clock, capsys) -> None:
    items = Steps().track([1, 0], "comparing", 2)
    with pytest.raises(ZeroDivisionError), contextlib.closing(items):
        for item in items:
            clock.now += 20 / item
    assert capsys.readouterr().err == "comparing 1 of 2 20.0 s\n"


def test_bytes_of_an_unknown_number(clock, capsys) -> None:
    with Meter(console(stderr=True), "downloading a[b]\x1b:", None, size_text) as meter:
        clock.now += 11
        meter.update(5_000_000)
        meter.update(6_000_000)
    assert capsys.readouterr().err.splitlines() == [
        f"downloading a[b]\\x1b: {size_text(5_000_000)} 11.0 s",
        f"downloading a[b]\\x1b: {size_text(6_000_000)} 11.0 s",
    ]


def test_a_terminal_sees_a_clock(monkeypatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    steps = Steps()
    with steps.step("building y[/z]"):
        pass
    assert list(steps.track("ab", "comparing", 2)) == ["a", "b"]
    said = stream.getvalue()
    assert "building y[/z] ..." in said and "0:00:00" in said
    assert "comparing 2 of 2 0.0 s" in said


def test_quiet_says_nothing(capsys) -> None:
    steps = Steps(quiet=True)
    with steps.step("building"):
        steps.line("a fact")
    assert list(steps.track("ab", "comparing", 2)) == ["a", "b"] and capsys.readouterr().err == ""
