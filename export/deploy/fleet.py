"""One package onto many devices at a time; one that fails does not stop the others."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spit_edge.base.command_line import DONE, FAILED, NOT_DONE
from spit_edge.base.errors import SpitError
from spit_edge.base.progress import console
from spit_edge.base.text import shown
from spit_edge.export.deploy.errors import CheckFailed
from spit_edge.export.deploy.fleet_file import Device
from spit_edge.export.deploy.remote import Remote

Work = Callable[[Remote, Device], str]
"""What is done to each device; its last word, for the table."""
_STYLES = {DONE: "green", FAILED: "red", NOT_DONE: "red", None: "yellow"}


@dataclass
class _Row:
    state: str = "waiting"
    code: int | None = None


class FleetTable:
    """What each device is doing: a live table on a terminal, elsewhere a line per change."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = {name: _Row() for name in names}
        self._lock = threading.Lock()
        self._console = console(stderr=True)
        self._live: Live | None = None

    def shown(self) -> AbstractContextManager[object]:
        """Around the work."""
        if not self._console.is_terminal:
            return nullcontext()
        self._live = Live(get_renderable=self.table, console=self._console, refresh_per_second=4)
        return self._live

    def set(self, name: str, state: str, code: int | None = None) -> None:
        """``code`` once it is over."""
        with self._lock:
            self._rows[name] = _Row(state, code)
            if self._live is None:
                self._console.print(shown(f"{name}: {state}"), soft_wrap=True)

    def table(self) -> Table:
        """A row per device."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("device", no_wrap=True)
        table.add_column("state", overflow="fold")
        with self._lock:
            for name, row in self._rows.items():
                table.add_row(Text(shown(name)), Text(shown(row.state), style=_STYLES[row.code]))
        return table


class _DeviceReporter:
    """Hears of one device."""

    def __init__(self, name: str, table: FleetTable) -> None:
        self._name, self._table = name, table
        self._total = 0
        self._percent = -1

    def line(self, text: str) -> None:
        self._table.set(self._name, text)

    def event(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            self.line(event["what"])

    def sending(self, total: int) -> None:
        self._total, self._percent = total, -1

    def sent(self, done: int) -> None:
        percent = 10 * (10 * done // max(self._total, 1))
        if percent != self._percent:
            self._percent = percent
            self.line(f"sending, {percent} %")

    def transfer_ended(self) -> None:
        pass


def run_fleet(devices: Sequence[Device], work: Work, *, parallel: int) -> int:
    """Do ``work`` on all devices, up to ``parallel`` at a time.

    Returns DONE if all are done, FAILED if only checks failed, else NOT_DONE.  Ctrl-C ends all.
    """
    table = FleetTable([device.name for device in devices])
    remotes = {
        device.name: Remote(device.target, _DeviceReporter(device.name, table), batch=True)
        for device in devices
    }
    pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="deploy")
    try:
        with table.shown():
            futures = [
                pool.submit(_one, device, remotes[device.name], work, table) for device in devices
            ]
            codes = [future.result() for future in as_completed(futures)]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        # Ends what still runs, so that no thread waits for a device.
        for remote in remotes.values():
            remote.close()
        pool.shutdown()
    console().print(table.table())
    sys.stdout.flush()
    return max(codes)


def _one(device: Device, remote: Remote, work: Work, table: FleetTable) -> int:
    table.set(device.name, "connecting")
    try:
        with remote:
            table.set(device.name, work(remote, device), DONE)
    except CheckFailed as error:
        table.set(device.name, str(error), FAILED)
        return FAILED
    except (SpitError, OSError, KeyboardInterrupt) as error:
        table.set(device.name, str(error) or "interrupted", NOT_DONE)
        return NOT_DONE
    return DONE
