"""Progress on stderr: what is being done, and how long each step took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.progress import track
from rich.table import Table
from rich.text import Text

from spit_edge.base.text import shown

_Item = TypeVar("_Item")


PIPE_WIDTH = 120
"""Columns of a table that is piped or logged; on a terminal it is the terminal's."""
_ANY_WIDTH = 10_000


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
    """Announces steps.  ``quiet`` says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = console(stderr=True, quiet=quiet)

    @contextmanager
    def step(
        self, what: str, display: AbstractContextManager[object] | None = None
    ) -> Iterator[None]:
        """Around a piece of work: a line with the seconds at the end.

        On a terminal, ``display`` is shown meanwhile, or a spinner.
        """
        start, what = time.perf_counter(), shown(what)
        if self.console.is_terminal:
            with display or self.console.status(Text(f"{what} ...")):
                yield
        else:
            self.console.print(f"{what} ... ", end="")
            self.console.file.flush()
            yield
            what = ""
        self.console.print(f"{what} {time.perf_counter() - start:.1f} s".strip())

    def track(self, items: Iterable[_Item], what: str, total: int) -> Iterable[_Item]:
        """``items`` with a progress bar while they are worked on."""
        if not self.console.is_terminal:
            return items
        return track(items, what, total=total, console=self.console, transient=True)
