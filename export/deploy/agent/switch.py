"""Which release is in use: the links ``current`` and ``previous``; and the service that uses it."""

from __future__ import annotations

import os
from pathlib import Path

from spit_edge.export.deploy.agent.protocol import Refused, attempt, step
from spit_edge.export.deploy.agent.store import RELEASES


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


def restart(unit: str | None) -> None:
    """Restart a unit of the user's systemd if it runs, so that it uses what is current."""
    if unit is None:
        return
    # A command over ssh is not always told where the user's systemd listens.
    place = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    with step(f"restarting {unit}, if it runs"):
        try:
            done = attempt(
                ["systemctl", "--user", "try-restart", "--", unit], {"XDG_RUNTIME_DIR": place}
            )
        except FileNotFoundError:
            raise Refused(f"{unit} is not restarted: the device has no systemctl") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Refused(f"{unit} is not restarted, though the release is switched: {reason}")


def _target(link: Path) -> str | None:
    return os.path.basename(os.readlink(link)) if link.is_symlink() else None


def _point(link: Path, release: str) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(RELEASES) / release)
    os.replace(fresh, link)
