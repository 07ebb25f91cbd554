"""Drafts: hidden files and folders that become something else, and are known to be dead.

A writer holds a lock (flock) on its draft, which ends with the process however that ends.  So the
next writer can tell what a killed one left and remove it, and leaves alone what a living one
writes.  Where a file system has no locks, nothing is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_ENDING = ".spit-draft"
_LOCK = "lock"
_NAME_BYTES = 200  # of 255 that file systems take


def is_draft(name: str) -> bool:
    """Whether a file or folder of this name is a draft."""
    return name.startswith(".") and name.endswith(_ENDING)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Around a short step in ``folder`` that writers must take one after the other."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def new_draft_file(place: Path) -> tuple[Path, int]:
    """A fresh empty file beside ``place`` and its locked descriptor.  Raises OSError."""
    while True:
        draft = _name(place.parent, place.name)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if _lock(descriptor):
            return draft, descriptor
        os.close(descriptor)


def remove_dead_files(folder: Path) -> None:
    """Remove the draft files in ``folder`` whose writers are dead."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_draft(entry.name) and entry.is_file(follow_symlinks=False):
                with _if_dead(Path(entry)) as dead:
                    if dead:
                        os.unlink(entry)


@contextmanager
def draft_folder(
    home: Path, name: str, end: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """A fresh folder in ``home``, nobody else's to read, that is removed at the end.

    Before, ``end`` is called with it to save what must not be lost; so it is for what killed
    writers of the same ``name`` left, which goes first.  Raises OSError.
    """
    end_dead_folders(home, name, end)
    while True:
        folder = _name(home, name)
        folder.mkdir(mode=0o700)
        try:
            # Others that find it without a lock take it for a dead one's.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(folder / _LOCK, flags, 0o600)
        except FileNotFoundError:
            continue
        if _lock(descriptor):
            break
        os.close(descriptor)
    try:
        yield folder
    finally:
        try:
            end(folder)
            _remove(folder)
        finally:
            os.close(descriptor)


def end_dead_folders(home: Path, name: str, end: Callable[[Path], None]) -> None:
    """Call ``end`` for the draft folders of ``name`` in ``home`` whose writers are dead.

    They are removed then.  What cannot be done here, because another user may alone, is left.
    """
    prefix = _name(home, name).name[: -len(_ENDING) - 8]
    try:
        found = [entry for entry in home.iterdir() if is_draft(entry.name)]
    except OSError:
        return
    for folder in found:
        if not folder.name.startswith(prefix) or len(folder.name) != len(prefix + _ENDING) + 8:
            continue
        with contextlib.suppress(OSError):
            if not (folder / _LOCK).exists():
                folder.rmdir()  # killed before it had a lock, or after that was gone
                continue
            with _if_dead(folder / _LOCK) as dead:
                if dead:
                    end(folder)
                    _remove(folder)


def _name(folder: Path, name: str) -> Path:
    short = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
    return folder / f".{short}-{secrets.token_hex(4)}{_ENDING}"


def _lock(descriptor: int) -> bool:
    """Lock a file of our own; False if someone took it for a dead one's and removed it."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.fstat(descriptor).st_nlink > 0


@contextmanager
def _if_dead(lock: Path) -> Iterator[bool]:
    """Whether nobody holds this lock; then we do, during the block."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            dead = os.fstat(descriptor).st_uid == os.geteuid()
        except OSError:
            dead = False
        yield dead
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """The lock goes last, so that a folder without one is an empty one."""
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()
    (folder / _LOCK).unlink()
    folder.rmdir()
