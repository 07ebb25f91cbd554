"""What is told while a bundle is deployed: to a person at a terminal, or to a table of devices."""

from __future__ import annotations

import sys
from typing import Protocol

from spit_edge.base.progress import Meter, Steps
from spit_edge.base.sizes import size_text
from spit_edge.base.text import shown
from spit_edge.export.deploy.answers import Event, StepBegun, StepDone, TableMade


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
        self._meter: Meter | None = None

    def line(self, text: str) -> None:
        self.console.print(shown(text, lines=True), soft_wrap=True)

    def event(self, event: Event) -> None:
        if isinstance(event, StepBegun):
            self.line(f"{event.what} ...")
        elif isinstance(event, StepDone):
            self.line(f"{event.what} {event.seconds:.1f} s")
        elif isinstance(event, TableMade):
            sys.stdout.write(shown(event.text, lines=True))
            sys.stdout.flush()

    def sending(self, total: int) -> None:
        self._meter = Meter(self.console, "sending", total, size_text)
        self._meter.start()

    def sent(self, done: int) -> None:
        if self._meter is not None:
            self._meter.update(done)

    def transfer_ended(self) -> None:
        if self._meter is not None:
            self._meter.stop()
            self._meter = None
