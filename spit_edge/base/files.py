"""Files: there whole or not at all, and known by their SHA-256.

Devices that are deployed to run this with the standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from spit_edge.base.errors import FileError
from spit_edge.base.sizes import size_text

_CHUNK = 1 << 20


def fresh_beside(path: Path) -> Path:
    """A new hidden name in the same folder, so that renaming one to the other is atomic."""
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` to write to, which takes its place at the end of the block.

    After an error, OSError among others, what stood at ``path`` is as it was.
    """
    draft = fresh_beside(path)
    try:
        with draft.open("xb") as stream:
            yield stream
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left for {path}: free {size_text(size)} and build it again"
    return f"cannot write {path}: {error.strerror}"
