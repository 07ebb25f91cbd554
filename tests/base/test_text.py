"""Text of others on a terminal: what steers it is escaped, and no column of a table is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from spit_edge.base import progress
from spit_edge.base.progress import Steps, console
from spit_edge.base.text import shown
from spit_edge.runtime.parity.judge import ImageParity
from spit_edge.runtime.parity.table import parity_table


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("photo é 写真.jpg", "photo é 写真.jpg"),
        ("\x1b[2J\x07\r", "\\x1b[2J\\x07\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb", "a\\nb"),
        ("\u202ecod.exe\u2066", "\\u202ecod.exe\\u2066"),
        (os.fsdecode(b"\xff.png"), "\\udcff.png"),
        (Path("a\tb"), "a\\tb"),
    ],
)
def test_shown(text: object, wanted: str) -> None:
    assert shown(text) == wanted
    assert wanted.encode()


def test_lines_are_kept_where_they_are_expected() -> None:
    assert shown("a\nb\x1b", lines=True) == "a\nb\\x1b"


def row(name: str, *failures: str, top1: int = 3) -> ImageParity:
    return ImageParity(name, 60, 0, True, 1.0, 0.0, 1e-4, top1, 3, failures)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, table: Table) -> str:
    monkeypatch.setattr(sys, "stdout", stream)
    console().print(table)
    return stream.getvalue()


def test_names_are_no_markup_and_steer_nothing(monkeypatch) -> None:
    names = ["photo[copy].png", "[/z]", "a\x1b[2Jb"]
    text = printed(io.StringIO(), monkeypatch, parity_table([row(n) for n in names], "y[/z] on x"))
    assert all(shown(name) in text for name in [*names, "y[/z] on x"])
    assert "\x1b" not in text and text.count("pass") == 3


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_the_verdict_is_there_on_a_narrow_terminal(monkeypatch, columns) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")
    rows = [row("a-photograph-with-a-long-name.png"), row("b", "labels", "top-1", top1=7)]
    text = printed(Terminal(), monkeypatch, parity_table(rows, "bundle"))
    assert "pass" in text and "FAIL" in text and "7!=3" in text and "…" not in text


def test_pipes_get_no_control_codes(monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in printed(io.StringIO(), monkeypatch, parity_table([row("a")], "b"))
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Steps().step("building a[b]\x1b"):
        pass
    assert stream.getvalue().startswith("building a[b]\\x1b ... ")


def test_a_step_on_a_terminal_takes_no_markup(monkeypatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Steps().step("building y[/z]"):
        pass
    assert "building y[/z]" in stream.getvalue()


def test_a_locale_that_cannot_print_a_name() -> None:
    """And a name that is not UTF-8, which no locale prints."""
    program = (
        "import os; from spit_edge.base.command_line import guarded\n"
        "from spit_edge.base.errors import SpitError\n"
        "print_it = lambda: print('é', os.fsdecode(b'\\xff')) or 0\n"
        "assert guarded(print_it, (SpitError,)) == 0\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (0, b"\\xe9 \\udcff\n"), done.stderr


def test_width_of_a_pipe(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console().width == progress.PIPE_WIDTH
