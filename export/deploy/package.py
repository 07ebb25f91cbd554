"""What travels to a device: the bundle, the runtime, plugin libraries; every byte accounted for.

::

    bundle/             what the bundle's manifest lists
    runtime/            wheels of this package; its sources where none is given
    plugins/<n>/        plugin libraries built beforehand
    wheelhouse/         what pip is to install from, if given
    package.json        SHA-256 and size of all these; its own SHA-256 is the release's name
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from export.deploy.errors import DeployError
from export.deploy.sources import write_sources
from plugins.plugin_library import FILE_NAME, PluginLibrary, PluginLibraryError, read_library
from runtime.bundle import MANIFEST, Bundle

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
    with TemporaryDirectory(prefix="spit-package-") as folder:
        places = {f"bundle/{name}": bundle.path / name for name in bundle.manifest.files}
        places[f"bundle/{MANIFEST}"] = bundle.path / MANIFEST
        own = {f"runtime/{_wheel(path).name}": path for path in wheels}
        sources = None if own else write_sources(Path(folder))
        if sources is not None:
            places[f"runtime/{sources.name}"] = sources
        elif not own:
            raise DeployError("the sources of spit-edge are not here: give a wheel with --wheel")
        libraries = _libraries(plugins)
        places |= own | {path: library.path for path, library in libraries.items()}
        if wheelhouse is not None:
            places |= {f"wheelhouse/{path.name}": path for path in _wheels_in(wheelhouse)}
        files = {name: _packed(path) for name, path in sorted(places.items())}
        files[CONTENTS] = _packed(_write_contents(Path(folder) / CONTENTS, files))
        yield Package(
            bundle, files, sorted(own), f"runtime/{sources.name}" if sources else None, libraries
        )


def write_archive(package: Package, target: Path) -> None:
    """All of it as a tar file that depends on nothing but the content and SOURCE_DATE_EPOCH."""
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    fresh = target.with_name(f".{target.name}.new")
    try:
        with tarfile.open(fresh, "w", format=tarfile.USTAR_FORMAT) as archive:
            for path, file in sorted(package.files.items()):
                member = tarfile.TarInfo(path)
                member.size, member.mtime, member.mode = file.bytes, when, 0o644
                with file.source.open("rb") as content:
                    archive.addfile(member, content)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _write_contents(place: Path, files: Mapping[str, PackedFile]) -> Path:
    listed = {name: {"bytes": f.bytes, "sha256": f.sha256} for name, f in files.items()}
    place.write_text(json.dumps({"files": listed}, indent=2, sort_keys=True) + "\n")
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
        raise DeployError(f"{path} is no wheel of spit-edge: make one with pip wheel --no-deps .")
    return path


def _wheels_in(folder: Path) -> list[Path]:
    if not (found := sorted(folder.glob("*.whl"))):
        raise DeployError(f"there are no wheels in {folder}")
    return found


def _packed(path: Path) -> PackedFile:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise DeployError(f"cannot read {path}: {error.strerror}") from error
    return PackedFile(path, digest.hexdigest(), size)
