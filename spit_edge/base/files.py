"""Files: there whole or not at all, and known by their SHA-256.

Devices that are deployed to run this with the standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from spit_edge.base.drafts import new_draft_file, remove_dead_files
from spit_edge.base.errors import FileError
from spit_edge.base.sizes import size_text

_CHUNK = 1 << 20


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of errors that mean a full disk."""
_MOUNTED = {errno.EBUSY, errno.EXDEV}
_NO_DRAFT = {errno.EACCES, errno.EPERM, errno.EROFS}
_DESCRIPTOR = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")
_LINKS = 40

_cleaned: set[Path] = set()
"""Folders that were looked through for what killed writers left: once per process is enough."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of ``path`` at the end of the block.

    A link is followed and stays; so do owner and mode of an old file.  Pipes, devices and
    ``/dev/stdout`` get the content written into them at the end, and so does a file that cannot
    be replaced: one that is mounted, or lies in a folder that may not be written.

    After an error, OSError among others, what stood at ``path`` is as it was.
    """
    place = _followed(path)
    if isinstance(place, int) or _is_special(place):
        with tempfile.TemporaryFile() as stream:
            yield stream
            _send(stream, place)
        return
    try:
        _clean(place.parent)
        draft, descriptor = new_draft_file(place)
    except OSError as error:
        if error.errno not in _NO_DRAFT or not _may_write(place):
            raise
        with tempfile.TemporaryFile() as stream:
            yield stream
            _overwrite(place, stream)
        return
    try:
        # Closed after the renaming only: the lock tells others that the draft's writer lives.
        with open(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            _keep_owner(descriptor, place)
            _replace(draft, place, stream)
    finally:
        draft.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise FileError where :func:`whole_file` could not write: to be called before the work."""
    try:
        place = _followed(path)
        if isinstance(place, int):
            os.fstat(place)
            return
    except OSError as error:
        raise FileError(_sentence(path, 0, error)) from error
    if place.is_dir():
        raise FileError(f"cannot write {path}: it is a folder: give the name of a file")
    if not place.parent.is_dir():
        raise FileError(f"cannot write {path}: there is no folder {place.parent}")
    if place.exists():
        if not os.access(place, os.W_OK):
            raise FileError(f"cannot write {path}: it is write-protected, so choose another name")
    elif not os.access(place.parent, os.W_OK | os.X_OK):
        raise FileError(f"cannot write {path}: the folder {place.parent} may not be written")


def write_whole(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write all files beside their places, then rename them in order.

    Their folders are made.  Raises FileError, which calls a full disk a full disk; then, and
    after an interrupt, what stood at the places is as it was.
    """
    new_folders = {path.parent for path in files if not path.parent.exists()}
    try:
        with contextlib.ExitStack() as stack:
            # All are written before any takes its place; left in reverse, the first comes first.
            for path, data in reversed(list(files.items())):
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = stack.enter_context(whole_file(path))
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())  # a full disk may show here and nowhere before
    except OSError as error:
        raise FileError(_sentence(path, memoryview(files[path]).nbytes, error)) from error
    finally:
        for folder in new_folders:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only an empty one goes


def file_sha256(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file, in hexadecimal, and its bytes.  Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def json_file(value: Any, *, sort_keys: bool = False) -> bytes:
    """``value`` as the indented JSON of a file; numbers that are not finite become null.

    sort_keys  of dictionaries, so that the bytes depend on nothing but the values
    """
    import msgspec

    order: Literal["deterministic"] | None = "deterministic" if sort_keys else None
    return msgspec.json.format(msgspec.json.encode(value, order=order), indent=2) + b"\n"


def _sentence(path: Path, size: int, error: OSError) -> str:
    if error.errno in FULL:
        return f"no space left for {path}: free {size_text(size)} and try again"
    return f"cannot write {path}: {error.strerror}"


def _followed(path: Path) -> Path | int:
    """Where ``path`` leads, links followed; a number if that is an open file of this process."""
    for _ in range(_LINKS):
        if found := _DESCRIPTOR.fullmatch(os.path.abspath(path)):
            return int(found[2]) if found[2] else {"stdout": 1, "stderr": 2}[found[1]]
        if not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _is_special(place: Path) -> bool:
    """Raises IsADirectoryError."""
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    return place.exists() and not place.is_file()


def _may_write(place: Path) -> bool:
    return place.is_file() and os.access(place, os.W_OK)


def _clean(folder: Path) -> None:
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_dead_files(folder)


def _send(source: IO[bytes], place: Path | int) -> None:
    """Write the content into a pipe, a device or an open file."""
    source.seek(0)
    if isinstance(place, int):
        sys.stdout.flush()
        place = os.dup(place)
    with open(place, "wb") as target:
        shutil.copyfileobj(source, target)


def _keep_owner(descriptor: int, place: Path) -> None:
    """Give a draft the mode and, as far as we may, the owner of what it replaces."""
    try:
        old = place.stat()
    except FileNotFoundError:
        return
    with contextlib.suppress(OSError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _replace(draft: Path, place: Path, stream: IO[bytes]) -> None:
    try:
        draft.replace(place)
    except OSError as error:
        if error.errno not in _MOUNTED:
            raise
        # If we are killed meanwhile, the content lies there for everybody to see.
        copy = place.with_name(f"{place.name}.new")
        if not os.path.lexists(copy):
            draft.rename(copy)
        _overwrite(place, stream)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(copy.stat(), os.fstat(stream.fileno())):
                copy.unlink()


def _overwrite(place: Path, source: IO[bytes]) -> None:
    """Write the content over that of a file, for which there must be space before that begins."""
    source.flush()
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    with open(os.open(place, os.O_WRONLY), "wb") as target:
        before = os.fstat(target.fileno()).st_size
        try:
            if size:
                os.posix_fallocate(target.fileno(), 0, size)
        except OSError as error:
            os.truncate(place, before)
            if error.errno in FULL:
                raise
        shutil.copyfileobj(source, target)
        target.truncate(size)
        target.flush()
        os.fsync(target.fileno())
