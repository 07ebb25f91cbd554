"""Reading files of a bundle, which may come from anybody.

Names are plain, no link is followed below the bundle's folder, and what is opened is a regular
file: no FIFO that would be waited for, no device without end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from spit_edge.runtime.errors import BundleError

_CHUNK = 1 << 20
_CLOSED = os.O_CLOEXEC | os.O_NOFOLLOW


def check_name(folder: Path, name: str) -> None:
    """Raise BundleError unless ``name`` is a plain relative path with ``/``."""
    plain = name.isprintable() and not set(name) & set("\\:")
    if not plain or any(part in ("", ".", "..") for part in name.split("/")):
        raise BundleError(f"{folder} lists {name!r}, which is not a plain relative path")


@contextmanager
def open_inside(folder: Path, name: str) -> Iterator[BinaryIO]:
    """The regular file ``name`` below ``folder``.  Raises BundleError, which names the file."""
    check_name(folder, name)
    path = folder / name
    try:
        with open(_descriptor(folder, name), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            yield stream
    except OSError as error:
        raise BundleError(_sentence(path, error)) from error


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes.  Raises BundleError."""
    with open_inside(folder, name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise BundleError(f"{folder / name} has more than the {limit} bytes that it may have")
    return data


def size_and_sha256(folder: Path, name: str) -> tuple[int, str]:
    """Of a file below ``folder``.  Raises BundleError."""
    digest, size = hashlib.sha256(), 0
    with open_inside(folder, name) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _descriptor(folder: Path, name: str) -> int:
    """Opened folder by folder: O_NOFOLLOW speaks of the last part of a path alone."""
    *parents, last = name.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | _CLOSED, dir_fd=at)
            os.close(at)
            at = inner
        # Without O_NONBLOCK opening a FIFO waits for who writes into it.
        return os.open(last, os.O_RDONLY | os.O_NONBLOCK | _CLOSED, dir_fd=at)
    finally:
        os.close(at)


def _sentence(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path} is missing: copy or export the bundle again"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return f"{path} is a link or is reached through one: copy the file itself"
    if error.errno in (errno.EISDIR, errno.ENXIO):
        return f"{path} is not a regular file: copy or export the bundle again"
    return f"cannot read {path}: {error.strerror}"
