"""Which release is in use and which was before: one link decides both.

::

    state     -> states/<n>               replaced whole, in one step
    states/<n>/current, previous          -> releases
    current   -> state/current            what services and people name
    previous  -> state/previous           leads nowhere while there is none

In folders that older versions made, ``current`` and ``previous`` lead to releases themselves.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

STATE, STATES, RELEASES = "state", "states", "releases"


class InUse(NamedTuple):
    """Names of releases; None: there is none."""

    current: str | None
    previous: str | None


def in_use(root: Path) -> InUse:
    """What the links say."""
    folder = root / STATE if (root / STATE).is_symlink() else root
    current, previous = (_release_of(folder / name) for name in InUse._fields)
    # Older versions that were killed on the way back left both the same.
    return InUse(current, None if previous == current else previous)


def switch(root: Path, release: str) -> None:
    """Make ``release`` the current one, and the one before it the previous one.

    Whenever this is killed, both are as before or both are as they shall be.
    """
    before = in_use(root)
    earlier = before.previous if release == before.current else before.current
    os.utime(root / RELEASES / release)
    if before.current is not None and not (root / STATE).is_symlink():
        _set(root, before)
    for name in InUse._fields:
        _lead(root / name, Path(STATE) / name)
    _set(root, InUse(release, earlier))


def _set(root: Path, wanted: InUse) -> None:
    folder = root / STATES / secrets.token_hex(8)
    folder.mkdir(parents=True)
    for name, release in wanted._asdict().items():
        if release is not None:
            (folder / name).symlink_to(Path("..") / ".." / RELEASES / release)
    # All of the release is on the disk before anything leads to it.
    os.sync()
    _lead(root / STATE, Path(STATES) / folder.name)
    for other in (root / STATES).iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _lead(link: Path, target: Path) -> None:
    if link.is_symlink() and os.readlink(link) == str(target):
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def _release_of(link: Path) -> str | None:
    return os.path.basename(os.readlink(link)) if link.is_symlink() else None
