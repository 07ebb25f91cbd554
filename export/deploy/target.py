"""Where a bundle goes: a host as ssh knows it, and a folder there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spit_edge.export.deploy.errors import DeployError

HOME = "spit-edge"
"""Folder, in the user's home on the device, of services for which none is named."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Target:
    """A service on a device.

    host        what ssh is given: ``user@address`` or a name of its configuration
    root        the service's folder there, relative to the user's home unless it begins with /
    ssh_config  file for ``ssh -F``; None: the user's own
    """

    host: str
    root: str
    ssh_config: Path | None = None


def parse_target(
    text: str, name: str | None, default_name: str, ssh_config: Path | None = None
) -> Target:
    """``[user@]host[:dir]`` and the service's name; DeployError if they are not of that form."""
    host, _, folder = text.partition(":")
    if text.startswith("["):  # [::1]:dir
        host, _, folder = text[1:].partition("]")
        folder = folder.removeprefix(":")
    if not host or host.startswith("-") or any(c.isspace() or not c.isprintable() for c in host):
        raise DeployError(f"{text!r} is no device: write user@host or user@host:folder")
    for given in filter(None, (name, None if folder else default_name)):
        if not _NAME.fullmatch(given):
            raise DeployError(
                f"{given!r} is no name for a service: use letters, digits, '.', '_' and '-', "
                "as in --name door-camera"
            )
    if folder.startswith("-") or not folder.isprintable():
        raise DeployError(f"{folder!r} is no folder for a service")
    if not folder:
        return Target(host, f"{HOME}/{name or default_name}", ssh_config)
    return Target(host, f"{folder}/{name}" if name else folder, ssh_config)
