"""One package onto many devices at a time; one that fails does not stop the others.

``devices.toml``: the devices of a fleet.

::

    [[device]]
    host = "user@jetson-1"      # as for deploy: user@host, or a name of ssh's configuration
    name = "door"               # how the table calls it [the host]
    dir = "/opt/spit"           # the service's folder there [spit-edge/<service> in the home]
    engine = "never"            # auto, now or never [as on the command line]
    backend = "onnxruntime"     # [as on the command line]
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spit_edge.base.command_line import DONE, FAILED, NOT_DONE
from spit_edge.base.errors import SpitError
from spit_edge.base.progress import console
from spit_edge.base.sizes import size_text
from spit_edge.base.tables import new_table
from spit_edge.base.text import shown
from spit_edge.export.deploy.answers import Event, StepBegun
from spit_edge.export.deploy.errors import CheckFailed, DeployError
from spit_edge.export.deploy.remote import Remote
from spit_edge.export.deploy.target import DeployOptions, EngineWish, Target, parse_target


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    name: str | None = None
    dir: str | None = None
    engine: EngineWish | None = None
    backend: str | None = None


_FILE_BYTES = 1 << 20


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    device: list[_Entry]


@dataclass(frozen=True)
class Member:
    """A device of the fleet by its name, where the service is there, and how it is deployed."""

    name: str
    target: Target
    options: DeployOptions


def read_members(
    file: Path,
    options: DeployOptions,
    *,
    service: str | None,
    default_service: str,
    ssh_config: Path | None,
) -> Sequence[Member]:
    """The devices of a file; what an entry does not say is as in ``options``.

    Raises DeployError if the file is not of the form above.
    """
    entries = _parse(file).device
    members = []
    for entry in entries:
        place = f"{entry.host}:{entry.dir}" if entry.dir else entry.host
        target = parse_target(place, service, default_service, ssh_config)
        own = replace(
            options,
            engine=entry.engine or options.engine,
            backend=entry.backend or options.backend,
        )
        members.append(Member(entry.name or target.host, target, own))
    names = [member.name for member in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DeployError(f"{file} names {twice[0]} twice: give each device a name of its own")
    if not members:
        raise DeployError(f"{file} lists no devices")
    return members


def _parse(file: Path) -> _File:
    # Python has it from 3.11 on; the package it was made of is the same.
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        if not file.is_file() or file.stat().st_size > _FILE_BYTES:
            raise DeployError(
                f"{file} is not a list of devices: not a file of at most {size_text(_FILE_BYTES)}"
            )
        return msgspec.convert(toml.loads(file.read_text("utf-8")), _File)
    except OSError as error:
        raise DeployError(f"cannot read {file}: {error.strerror}") from error
    except RecursionError as error:
        raise DeployError(f"{file} is not a list of devices: it is nested too deeply") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise DeployError(f"{file} is not a list of devices: {error}") from error


Work = Callable[[Remote, Member], str]
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
        table = new_table()
        table.add_column("device", no_wrap=True)
        table.add_column("state", overflow="fold")
        with self._lock:
            for name, row in self._rows.items():
                table.add_row(Text(shown(name)), Text(shown(row.state), style=_STYLES[row.code]))
        return table


class _MemberReporter:
    """Hears of one device."""

    def __init__(self, name: str, table: FleetTable) -> None:
        self._name, self._table = name, table
        self._total = 0
        self._percent = -1

    def line(self, text: str) -> None:
        self._table.set(self._name, text)

    def event(self, event: Event) -> None:
        if isinstance(event, StepBegun):
            self.line(event.what)

    def sending(self, total: int) -> None:
        self._total, self._percent = total, -1

    def sent(self, done: int) -> None:
        percent = 10 * (10 * done // max(self._total, 1))
        if percent != self._percent:
            self._percent = percent
            self.line(f"sending, {percent} %")

    def transfer_ended(self) -> None:
        pass


def run_fleet(members: Sequence[Member], work: Work, *, parallel: int) -> int:
    """Do ``work`` on all members, up to ``parallel`` at a time.

    Returns DONE if all are done, FAILED if only checks failed, else NOT_DONE.  Ctrl-C ends all.
    """
    table = FleetTable([member.name for member in members])
    remotes = {
        member.name: Remote(member.target, _MemberReporter(member.name, table), batch=True)
        for member in members
    }
    pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="deploy")
    try:
        with table.shown():
            futures = [
                pool.submit(_one, member, remotes[member.name], work, table) for member in members
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


def _one(member: Member, remote: Remote, work: Work, table: FleetTable) -> int:
    table.set(member.name, "connecting")
    try:
        with remote:
            table.set(member.name, work(remote, member), DONE)
    except CheckFailed as error:
        table.set(member.name, str(error), FAILED)
        return FAILED
    except (SpitError, OSError, KeyboardInterrupt) as error:
        table.set(member.name, str(error) or "interrupted", NOT_DONE)
        return NOT_DONE
    return DONE
