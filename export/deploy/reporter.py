"""What is told while a bundle is deployed: to a person at a terminal, or to a table of devices."""

from __future__ import annotations

import sys
from typing import Protocol

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from spit_edge.base.progress import Steps
from spit_edge.base.text import shown
from spit_edge.export.deploy.answers import Event, StepDone, TableMade


class Reporter(Protocol):
    """Hears of everything."""

    def line(self, text: str) -> None:
        """A fact or a result."""

    def event(self, event: Event) -> None:
        """What the device is at."""

    def sending(self, total: int) -> None:
        """A transfer of so many bytes begins."""

    def sent(self, done: int) -> None:
        """So many of them are there."""

    def transfer_ended(self) -> None:
        """Whether or not all were sent."""


class PersonalReporter:
    """Lines and a bar on stderr; tables on stdout."""

    def __init__(self) -> None:
        self.console = Steps().console
        self._bar: Progress | None = None

    def line(self, text: str) -> None:
        self.console.print(shown(text, lines=True), soft_wrap=True)

    def event(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self.line(f"{event.what} {event.seconds:.1f} s")
        elif isinstance(event, TableMade):
            sys.stdout.write(shown(event.text, lines=True))
            sys.stdout.flush()

    def sending(self, total: int) -> None:
        columns = (
            TextColumn("sending"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        self._bar = Progress(*columns, console=self.console, transient=True)
        self._bar.add_task("sending", total=total)
        if self.console.is_terminal:
            self._bar.start()

    def sent(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def transfer_ended(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
