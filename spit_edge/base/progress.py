"""Progress on stderr: what is being done, and how long each step took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from spit_edge.base.text import shown

_Item = TypeVar("_Item")


PIPE_WIDTH = 120
"""Columns of a table that is piped or logged; on a terminal it is the terminal's."""
_ANY_WIDTH = 10_000
EVERY = 10.0
"""Seconds between lines of a run that is piped or logged."""


class _Console(Console):
    """Gives every column of a table: where the terminal is narrower, its lines go on below."""

    def print(self, *objects: Any, **options: Any) -> None:
        size = self.size
        needed = [self._columns(item) for item in objects if isinstance(item, Table)]
        if not needed or max(needed) <= size.width:
            super().print(*objects, **options)
            return
        self.size = ConsoleDimensions(max(needed), size.height)
        try:
            super().print(*objects, **options)
        finally:
            self.size = size

    def _columns(self, table: Table) -> int:
        return Measurement.get(self, self.options.update(max_width=_ANY_WIDTH), table).minimum


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Where tables and progress go; colours and moving lines to terminals only."""
    # Left to itself, rich takes FORCE_COLOR for a terminal and puts control codes into pipes.
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    made = _Console(
        stderr=stderr, quiet=quiet, highlight=False, markup=False, force_terminal=terminal
    )
    if not terminal:
        made.width = PIPE_WIDTH
    return made


class Steps:
    """Announces steps on stderr.  ``quiet`` says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = console(stderr=True, quiet=quiet)

    def line(self, text: str) -> None:
        """A fact worth knowing meanwhile."""
        self.console.print(shown(text, lines=True), soft_wrap=True)

    @contextmanager
    def step(
        self, what: str, display: AbstractContextManager[object] | None = None
    ) -> Iterator[None]:
        """Around a piece of work: a line with the seconds at the end.

        On a terminal, ``display`` is shown meanwhile, or a spinner with a clock.
        """
        start, what = time.perf_counter(), shown(what)
        if self.console.is_terminal:
            with display or self._spinner(what):
                yield
        else:
            self.console.print(f"{what} ... ", end="")
            self.console.file.flush()
            try:
                yield
            except BaseException:
                self.console.print()  # what comes next is no part of this line
                raise
            what = ""
        self.console.print(f"{what} {time.perf_counter() - start:.1f} s".strip())

    def track(self, items: Iterable[_Item], what: str, total: int) -> Iterator[_Item]:
        """``items``, and meanwhile how many of ``total`` were worked on."""
        with Meter(self.console, what, total) as meter:
            for done, item in enumerate(items, 1):
                yield item
                meter.update(done)

    def _spinner(self, what: str) -> Progress:
        text = TextColumn("{task.description} ...", markup=False)
        spinner = Progress(
            SpinnerColumn(), text, TimeElapsedColumn(), console=self.console, transient=True
        )
        spinner.add_task(what, total=None)
        return spinner


class Meter:
    """How much of some work is done: a bar on a terminal; elsewhere a line every EVERY seconds, and
    one at the end.  A context manager.

    total  None: not known
    text   writes a number of what is counted
    """

    def __init__(
        self,
        console: Console,
        what: str,
        total: int | None,
        text: Callable[[int], str] = str,
    ) -> None:
        self._console, self._what, self._total, self._text = console, shown(what), total, text
        self._done = 0
        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)

    def start(self) -> None:
        """Nothing is done yet."""
        self._start = self._said = time.perf_counter()
        if self._console.is_terminal:
            self._task = self._bar.add_task(self._line(), total=self._total)
            self._bar.start()

    def update(self, done: int) -> None:
        """So much of it is done by now."""
        self._done = done
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, description=self._line())
        elif (now := time.perf_counter()) - self._said >= EVERY:
            self._said = now
            self._say()

    def stop(self) -> None:
        """Take the bar away."""
        if self._console.is_terminal:
            self._bar.stop()

    def __enter__(self) -> Meter:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None:
            self._say()

    def _line(self) -> str:
        of = "" if self._total is None else f" of {self._text(self._total)}"
        return f"{self._what} {self._text(self._done)}{of}"

    def _say(self) -> None:
        seconds = time.perf_counter() - self._start
        self._console.print(f"{self._line()} {seconds:.1f} s", soft_wrap=True)
