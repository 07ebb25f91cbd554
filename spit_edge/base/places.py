"""Where this package lies, and where it keeps what it makes; not where one happens to stand."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder of this package, after the XDG base directory specification."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "spit-edge"


def checkout() -> Path | None:
    """The checkout that this package is imported from; None where it is installed by itself."""
    root = Path(__file__).resolve().parents[2]
    there = (root / "pyproject.toml").is_file() and (root / "CMakeLists.txt").is_file()
    return root if there else None
