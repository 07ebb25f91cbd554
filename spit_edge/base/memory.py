"""Memory of this process."""

from __future__ import annotations

import re
from pathlib import Path


def resident_memory() -> int | None:
    """Bytes of RAM that the process holds now; None where the system does not say."""
    return _status("VmRSS")


def peak_resident_memory() -> int | None:
    """The most that it has held so far."""
    return _status("VmHWM")


def _status(field: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return None if found is None else int(found[1]) << 10
