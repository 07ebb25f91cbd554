"""What there is on the device."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
from importlib import metadata, util
from pathlib import Path
from typing import Any

from spit_edge.runtime.cuda.driver import driver_facts
from spit_edge.runtime.jetson.board import find_board


def facts(root: Path) -> dict[str, Any]:
    """All of them, as JSON; what is not there is None."""
    place = root
    while not place.exists():
        place = place.parent
    jetson = find_board()
    return {
        "root": str(root),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "venv": util.find_spec("ensurepip") is not None,
        "numpy": _version("numpy"),
        "tensorrt": _version("tensorrt"),
        "to_compile": _missing_to_compile(),
        "gpu": driver_facts(),
        "jetson": None if jetson is None else str(jetson),
        "rsync": shutil.which("rsync") is not None,
        "disk_free": free_bytes(place),
        "memory_free": _memory().get("MemAvailable"),
        "current": _link(root / "current"),
        "previous": _link(root / "previous"),
    }


def free_bytes(place: Path) -> int:
    """Of the disk that a folder is on, for users who are not root."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _missing_to_compile() -> list[str]:
    """Packages of Debian."""
    missing = []
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append("python3-dev")
    if shutil.which("c++") is None and shutil.which("g++") is None:
        missing.append("g++")
    return missing


def _memory() -> dict[str, int]:
    """Bytes, by the names of /proc/meminfo."""
    found = {}
    for line in (_text("/proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[0].isdecimal():
            found[name] = 1024 * int(words[0])
    return found


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


def _link(path: Path) -> str | None:
    """The release that a link stands for."""
    return os.path.basename(os.readlink(path)) if path.is_symlink() else None
