"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from runtime.errors import EngineError
from runtime.whole_file import whole_file


def write_whole(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write all files beside their places, then rename them in order.

    Their folders are made.  Raises EngineError, which calls a full disk a full disk; then, and
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
        raise EngineError(_sentence(path, memoryview(files[path]).nbytes, error)) from error
    finally:
        for folder in new_folders:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only an empty one goes


def _sentence(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left for {path}: free {size / 1e6:.1f} MB and build it again"
    return f"cannot write {path}: {error.strerror}"
