"""What there is on the device."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sysconfig
from importlib import util
from pathlib import Path
from typing import Any

from spit_edge.base.install import installed_versions
from spit_edge.runtime.jetson.board import find_jetson

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""Of CUDA's enum CUdevice_attribute."""


def facts(root: Path) -> dict[str, Any]:
    """All of them, as JSON; what is not there is None."""
    place = root
    while not place.exists():
        place = place.parent
    jetson, versions = find_jetson(), installed_versions("numpy", "tensorrt")
    return {
        "root": str(root),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "venv": util.find_spec("ensurepip") is not None,
        "numpy": versions.get("numpy"),
        "tensorrt": versions.get("tensorrt"),
        "to_compile": _missing_to_compile(),
        "gpu": _gpu(),
        "jetson": None if jetson is None else str(jetson),
        "rsync": shutil.which("rsync") is not None,
        "disk_free": free_bytes(place),
        "memory_free": _free_memory(),
        "current": _link(root / "current"),
        "previous": _link(root / "previous"),
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


def _gpu() -> dict[str, int] | None:
    """Compute capability times ten, and the newest CUDA that the driver runs (13000 for 13.0)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, version = ctypes.c_int(), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    calls = (
        (driver.cuInit, 0),
        (driver.cuDriverGetVersion, ctypes.byref(version)),
        (driver.cuDeviceGet, ctypes.byref(device), 0),
        (driver.cuDeviceGetAttribute, ctypes.byref(major), _CAPABILITY_MAJOR, device),
        (driver.cuDeviceGetAttribute, ctypes.byref(minor), _CAPABILITY_MINOR, device),
    )
    for function, *arguments in calls:
        if function(*arguments) != 0:
            return None
    return {"sm": 10 * major.value + minor.value, "cuda": version.value}


def _free_memory() -> int | None:
    """Bytes that new processes can have."""
    try:
        text = Path("/proc/meminfo").read_text(errors="replace")
    except OSError:
        return None
    found = re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)
    return None if found is None else 1024 * int(found[1])


def _link(path: Path) -> str | None:
    """The release that a link stands for."""
    return os.path.basename(os.readlink(path)) if path.is_symlink() else None
