"""The photographs that come with the package, for self-checks and demonstrations."""

from __future__ import annotations

from pathlib import Path


def sample_photos() -> dict[str, Path]:
    """Path of each photograph by name (``astronaut``, ``chelsea``, ``coffee``)."""
    folder = Path(__file__).with_name("photos")
    return {path.stem: path for path in sorted(folder.glob("*.jpg"))}
