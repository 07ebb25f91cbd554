"""Memory of this process and of the GPU."""

from __future__ import annotations

import re
from pathlib import Path

from spit_edge.runtime.cuda.gpu import current_gpu
from spit_edge.runtime.errors import BackendUnavailable


def resident_memory() -> int | None:
    """Bytes of RAM that the process holds now; None where the system does not say."""
    return _status("VmRSS")


def peak_resident_memory() -> int | None:
    """The most that it has held so far."""
    return _status("VmHWM")


def used_gpu_memory() -> int | None:
    """Bytes in use on the GPU, by all processes; None without one."""
    try:
        gpu = current_gpu()
    except BackendUnavailable:
        return None
    return gpu.total_memory - gpu.free_memory


def _status(field: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return None if found is None else int(found[1]) << 10
