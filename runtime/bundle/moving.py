"""Moving files between folders so that none of the user's is lost or written over."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Collection
from pathlib import Path


def carry(source: Path, place: Path, left: Collection[str], under: str = "") -> None:
    """Move all below ``source`` to ``place``, but the files ``left``; links are not followed."""
    with os.scandir(source / under) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = under + entry.name
        if entry.is_dir(follow_symlinks=False):
            holds_some = any(other.startswith(f"{name}/") for other in left)
            if holds_some or os.path.lexists(place / name):
                carry(source, place, left, f"{name}/")
                continue
        elif name in left:
            continue
        target = _free_spot(place, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        move(Path(entry), target)
        if target != place / name:
            warnings.warn(f"{place / name} is now {target}", stacklevel=2)


def make_room(place: Path, name: Path) -> None:
    """Make the folders that ``name`` is in; files of the user that are in the way step aside."""
    for part in [*reversed(name.parents[:-1]), name]:
        path = place / part
        is_folder = path.is_dir() and not path.is_symlink()
        if os.path.lexists(path) and (part == name or not is_folder):
            aside = _free_name(path)
            path.rename(aside)
            warnings.warn(f"{path} is now {aside}", stacklevel=2)
        if part != name:
            path.mkdir(exist_ok=True)


def _free_spot(place: Path, name: str) -> Path:
    """Where a file of the user comes, if its own place is taken."""
    spot = place
    *parents, last = name.split("/")
    for part in parents:
        spot /= part
        if os.path.lexists(spot) and (spot.is_symlink() or not spot.is_dir()):
            spot = _free_name(spot)
    spot /= last
    return _free_name(spot) if os.path.lexists(spot) else spot


def _free_name(path: Path) -> Path:
    number = 0
    while True:
        free = path.with_name(f"{path.name}.kept{number or ''}")
        if not os.path.lexists(free):
            return free
        number += 1


def move(source: Path, target: Path) -> None:
    """Rename, or where that leads onto another mount, copy and remove."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
            shutil.rmtree(source)
            return
        shutil.copy2(source, target, follow_symlinks=False)
        source.unlink()
