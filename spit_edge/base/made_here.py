"""What this user made on this machine, remembered by its SHA-256.

A bundle is data and may come from anybody; libraries and engines are code.  So that code that lies
in a bundle runs only where it was made, or was said to be trusted, the record of that is kept
outside of everything that is copied with a bundle: an empty file for each hash, in the folder of
the XDG base directory specification for a program's state.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


def remember(sha256: str) -> None:
    """From now on `made_here` is True of this.  Where nothing can be written, nothing happens."""
    with contextlib.suppress(OSError, RuntimeError):
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / sha256).touch(mode=0o600)


def made_here(sha256: str) -> bool:
    """Whether this user made what has this SHA-256, or trusts it, on this machine."""
    with contextlib.suppress(OSError, RuntimeError):
        return (_folder() / sha256).lstat().st_uid == os.geteuid()
    return False


def text_sha256(*texts: str) -> str:
    """SHA-256 of several texts as one thing to remember."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "spit-edge" / "made-here"
