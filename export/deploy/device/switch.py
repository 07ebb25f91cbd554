"""Which release is in use: the links ``current`` and ``previous``."""

from __future__ import annotations

import os
from pathlib import Path

from export.deploy.device.protocol import Refused
from export.deploy.device.store import RELEASES


def switch(root: Path, release: str) -> None:
    """Make ``release`` the current one and the one before it the previous one."""
    before = _target(root / "current")
    os.utime(root / RELEASES / release)
    # All of the release is on the disk before anything leads to it.
    os.sync()
    if before is not None and before != release:
        _point(root / "previous", before)
    _point(root / "current", release)


def rollback(root: Path) -> str:
    """Swap current and previous; the name of what is current then."""
    current, previous = _target(root / "current"), _target(root / "previous")
    if current is None or previous is None or not (root / RELEASES / previous).is_dir():
        raise Refused(f"there is no earlier release in {root} on the device to go back to")
    _point(root / "current", previous)
    _point(root / "previous", current)
    return previous


def _target(link: Path) -> str | None:
    return os.path.basename(os.readlink(link)) if link.is_symlink() else None


def _point(link: Path, release: str) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(RELEASES) / release)
    os.replace(fresh, link)
