"""Sizes of files and memory, for people."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Bytes in three digits, in powers of 1000: 418 kB, 44.1 MB, 1.18 GB."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    digits = 0 if unit == "bytes" or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{size:.{digits}f} {unit}"
