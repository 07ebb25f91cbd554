"""What there is on the device."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sysconfig
from importlib import util
from pathlib import Path
from typing import Any

from spit_edge.base.driver import driver_facts
from spit_edge.base.install import installed_versions
from spit_edge.export.deploy.agent.use import in_use
from spit_edge.runtime.jetson.board import find_board


def facts(root: Path) -> dict[str, Any]:
    """All of them, as JSON; what is not there is None."""
    place = root
    while not place.exists():
        place = place.parent
    jetson, versions = find_board(), installed_versions("numpy", "tensorrt")
    return {
        "root": str(root),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "venv": util.find_spec("ensurepip") is not None,
        "numpy": versions.get("numpy"),
        "tensorrt": versions.get("tensorrt"),
        "to_compile": _missing_to_compile(),
        "gpu": driver_facts(),
        "jetson": None if jetson is None else str(jetson),
        "rsync": shutil.which("rsync") is not None,
        "disk_free": free_bytes(place),
        "memory_free": _free_memory(),
        **in_use(root)._asdict(),
    }


def free_bytes(place: Path) -> int:
    """Of the disk that a folder is on, for users who are not root."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _missing_to_compile() -> list[str]:
    """Packages of Debian."""
    missing = []
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append("python3-dev")
    if shutil.which("c++") is None and shutil.which("g++") is None:
        missing.append("g++")
    return missing


def _free_memory() -> int | None:
    """Bytes that new processes can have."""
    try:
        text = Path("/proc/meminfo").read_text(errors="replace")
    except OSError:
        return None
    found = re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)
    return None if found is None else 1024 * int(found[1])
