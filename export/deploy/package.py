"""What travels to a device: the bundle, the runtime, plugin libraries; every byte accounted for.

::

    bundle/             what the bundle's manifest lists
    runtime/            wheels of this package; its sources where none is given
    plugins/<n>/        plugin libraries built beforehand
    wheelhouse/         what pip is to install from, if given
    package.json        SHA-256 and size of all these; its own SHA-256 is the release's name
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from spit_edge import export
from spit_edge.base.drafts import draft_folder
from spit_edge.base.files import file_sha256, json_file, whole_file
from spit_edge.export.deploy.errors import DeployError
from spit_edge.plugins.plugin_library import (
    FILE_NAME,
    PluginLibrary,
    PluginLibraryError,
    read_library,
)
from spit_edge.runtime.bundle.folder import MANIFEST, Bundle

CONTENTS = "package.json"


@dataclass(frozen=True)
class PackedFile:
    """A file here and what it holds."""

    source: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Package:
    """All files by the paths they have on a device.

    wheels   paths of this package's wheels
    sources  path of its source distribution; None if there are wheels
    plugins  the facts of the plugin libraries by path
    """

    bundle: Bundle
    files: Mapping[str, PackedFile]
    wheels: Sequence[str]
    sources: str | None
    plugins: Mapping[str, PluginLibrary]

    @property
    def release(self) -> str:
        """Its name on devices: the beginning of the SHA-256 of all that is in it."""
        return self.files[CONTENTS].sha256[:16]

    @property
    def wheelhouse(self) -> list[PackedFile]:
        return [file for path, file in self.files.items() if path.startswith("wheelhouse/")]


@contextmanager
def make_package(
    bundle: Bundle,
    *,
    wheels: Sequence[Path] = (),
    wheelhouse: Path | None = None,
    plugins: Sequence[Path] = (),
) -> Iterator[Package]:
    """Put together what travels; generated files live as long as the block.

    Raises DeployError if something that was named is missing or is not what it should be.
    """
    if bundle.manifest.part != "full":
        raise DeployError(f"{bundle.path} holds the trunk alone: deploy a bundle of --part full")
    with draft_folder(Path(gettempdir()), "spit-package") as folder:
        places = {f"bundle/{name}": bundle.path / name for name in bundle.manifest.files}
        places[f"bundle/{MANIFEST}"] = bundle.path / MANIFEST
        own = {f"runtime/{_wheel(path).name}": path for path in wheels}
        sources = None if own else write_sources(folder)
        if sources is not None:
            places[f"runtime/{sources.name}"] = sources
        elif not own:
            raise DeployError("the sources of spit-edge are not here: give a wheel with --wheel")
        libraries = _libraries(plugins)
        places |= own | {path: library.path for path, library in libraries.items()}
        if wheelhouse is not None:
            places |= {f"wheelhouse/{path.name}": path for path in _wheels_in(wheelhouse)}
        files = {name: _packed(path) for name, path in sorted(places.items())}
        files[CONTENTS] = _packed(_write_contents(folder / CONTENTS, files))
        yield Package(
            bundle, files, sorted(own), f"runtime/{sources.name}" if sources else None, libraries
        )


def write_archive(package: Package, target: Path) -> None:
    """All of it as a tar file that depends on nothing but the content and SOURCE_DATE_EPOCH."""
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with (
        whole_file(target) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, file in sorted(package.files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mtime, member.mode = file.bytes, when, 0o644
            with file.source.open("rb") as content:
                archive.addfile(member, content)


def _write_contents(place: Path, files: Mapping[str, PackedFile]) -> Path:
    listed = {name: {"bytes": f.bytes, "sha256": f.sha256} for name, f in files.items()}
    place.write_bytes(json_file({"files": listed}, sort_keys=True))
    return place


def _libraries(given: Sequence[Path]) -> dict[str, PluginLibrary]:
    """Facts of the libraries by the paths they get."""
    try:
        read = [read_library(path) for path in given]
    except PluginLibraryError as error:
        raise DeployError(str(error)) from error
    if host := [library for library in read if library.variant != "cuda"]:
        raise DeployError(f"{host[0].path} computes on the CPU: it serves tests, not devices")
    return {f"plugins/{index}/{FILE_NAME}": library for index, library in enumerate(read)}


def _wheel(path: Path) -> Path:
    if not (path.is_file() and path.name.startswith("spit_edge-") and path.suffix == ".whl"):
        raise DeployError(f"{path} is not a wheel of spit-edge: pip wheel --no-deps . makes one")
    return path


def _wheels_in(folder: Path) -> list[Path]:
    if not (found := sorted(path for path in folder.glob("*.whl") if path.is_file())):
        raise DeployError(f"there are no wheels in {folder}")
    return found


def _packed(path: Path) -> PackedFile:
    try:
        return PackedFile(path, *file_sha256(path))
    except OSError as error:
        raise DeployError(f"cannot read {path}: {error.strerror}") from error


_ROOT = Path(export.__file__).resolve().parent.parent
_FOLDERS = ("export", "plugins", "runtime", "spit_edge", "spit_ref")
_FILES = ("CMakeLists.txt", "LICENSE", "NOTICE", "README.md", "pyproject.toml")
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
