"""Progress on stderr: what is being done, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Item = TypeVar("_Item")


PIPE_WIDTH = 120
"""Columns of a table that is piped or logged; on a terminal it is the terminal's."""


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Where tables and progress go."""
    made = Console(stderr=stderr, quiet=quiet, highlight=False)
    if not made.is_terminal:
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
        start = time.perf_counter()
        if self.console.is_terminal:
            with display or self.console.status(f"{what} ..."):
                yield
        else:
            self.console.print(f"{what} ... ", markup=False, end="")
            self.console.file.flush()
            yield
            what = ""
        self.console.print(f"{what} {time.perf_counter() - start:.1f} s".strip(), markup=False)

    def track(self, items: Iterable[_Item], what: str, total: int) -> Iterable[_Item]:
        """``items`` with a progress bar while they are worked on."""
        if not self.console.is_terminal:
            return items
        return track(items, what, total=total, console=self.console, transient=True)
