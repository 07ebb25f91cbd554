"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from runtime.errors import EngineError


def write_whole(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write all files beside their places, then rename them in order.

    Their folders are made.  Raises EngineError, which calls a full disk a full disk; then, and
    after an interrupt, what stood at the places is as it was.
    """
    token = secrets.token_hex(4)
    beside = {path: path.with_name(f".{path.name}-{token}") for path in files}
    new_folders = {path.parent for path in files if not path.parent.exists()}
    try:
        for path, data in files.items():
            _write(path, beside[path], data)
        for path in files:
            beside[path].replace(path)
    except OSError as error:
        raise EngineError(_sentence(path, memoryview(files[path]).nbytes, error)) from error
    finally:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        for folder in new_folders:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only an empty one goes


def _write(path: Path, beside: Path, data: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())  # a full disk may show here and nowhere before


def _sentence(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left for {path}: free {size / 1e6:.1f} MB and build it again"
    return f"cannot write {path}: {error.strerror}"
