"""``devices.toml``: the devices of a fleet.

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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.options import DeployOptions
from spit_edge.export.deploy.target import Target, parse_target


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    name: str | None = None
    dir: str | None = None
    engine: Literal["auto", "now", "never"] | None = None
    backend: str | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    device: list[_Entry]


@dataclass(frozen=True)
class Device:
    """A device by its name, where the service is there, and how it is deployed."""

    name: str
    target: Target
    options: DeployOptions


def read_devices(
    file: Path,
    options: DeployOptions,
    *,
    service: str | None,
    default_service: str,
    ssh_config: Path | None,
) -> Sequence[Device]:
    """The devices of a file; what an entry does not say is as in ``options``.

    Raises DeployError if the file is not of the form above.
    """
    entries = _parse(file).device
    devices = []
    for entry in entries:
        place = f"{entry.host}:{entry.dir}" if entry.dir else entry.host
        target = parse_target(place, service, default_service, ssh_config)
        own = replace(
            options,
            engine=entry.engine or options.engine,
            backend=entry.backend or options.backend,
        )
        devices.append(Device(entry.name or target.host, target, own))
    names = [device.name for device in devices]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DeployError(f"{file} names {twice[0]} twice: give each device a name of its own")
    if not devices:
        raise DeployError(f"{file} names no device")
    return devices


def _parse(file: Path) -> _File:
    # Python has it from 3.11 on; the package it was made of is the same.
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return msgspec.convert(toml.loads(file.read_text()), _File)
    except OSError as error:
        raise DeployError(f"cannot read {file}: {error.strerror}") from error
    except (toml.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DeployError(f"{file} is no list of devices: {error}") from error
