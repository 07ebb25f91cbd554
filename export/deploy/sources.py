"""The sources of this package as a file that pip installs, where a device has to compile them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import export

_ROOT = Path(export.__file__).resolve().parent.parent
_FOLDERS = ("benchmarks", "export", "plugins", "runtime", "spit_ref")
_FILES = ("CMakeLists.txt", "README.md", "pyproject.toml", "tests/native")
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def write_sources(folder: Path) -> Path | None:
    """``spit_edge-<version>.tar.gz`` in ``folder``; None where only the installed package is.

    The same sources give the same bytes.
    """
    if not (_ROOT / "pyproject.toml").is_file() or not (_ROOT / "CMakeLists.txt").is_file():
        return None
    # The version of the sources; the one installed may be another.
    version = _version((_ROOT / "pyproject.toml").read_text())
    top = f"spit_edge-{version}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # pip takes a folder for a source distribution if it has this file.
        _add(archive, f"{top}/PKG-INFO", _pkg_info(version))
        for path in _paths():
            _add(archive, f"{top}/{path.relative_to(_ROOT).as_posix()}", path.read_bytes())
    target = folder / f"{top}.tar.gz"
    # Level and time are fixed, and no name is written: the bytes depend on the content alone.
    target.write_bytes(gzip.compress(packed.getvalue(), compresslevel=6, mtime=0))
    return target


def _paths() -> list[Path]:
    found = []
    for name in (*_FOLDERS, *_FILES):
        place = _ROOT / name
        found += [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return sorted(
        path
        for path in found
        if not _LEFT_OUT & set(path.relative_to(_ROOT).parts) and path.suffix not in (".so", ".pyc")
    )


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _version(pyproject: str) -> str:
    line = next(line for line in pyproject.splitlines() if line.startswith("version = "))
    return line.partition("=")[2].strip().strip('"')


def _pkg_info(version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: spit-edge\nVersion: {version}\n".encode()
