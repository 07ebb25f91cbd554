"""A bundle: the folder that holds an exported model and all that is needed to trust and run it.

``model.onnx`` and, for runs that tokenize outside the graph, ``trunk.onnx``, which share a file of
weights; ``manifest.json``; ``check/`` (images and the answers expected for them); ``parity.json``;
``regions.npy`` where the regions are the same for all images.  Files that the manifest does not
list, engines for example, may stand beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.files import file_sha256, fresh_beside
from spit_edge.runtime.bundle.manifest import FileEntry, Manifest, decode
from spit_edge.runtime.errors import BundleError

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TRUNK = "trunk.onnx"
WEIGHTS = "model.onnx.data"
REGIONS = "regions.npy"

_PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: _PathLike, *, verify: bool = True) -> Bundle:
        """Read the manifest and, with ``verify``, check size and SHA-256 of every listed file.

        Raises BundleError, which says what is missing or which file is not as it was written.
        """
        folder = Path(path)
        manifest = decode(_read_manifest(folder), str(folder / MANIFEST))
        for name in required_files(manifest):
            if name not in manifest.files:
                raise BundleError(f"{folder / MANIFEST} lists no {name}: export the bundle again")
        paths = {name: _inside(folder, name) for name in manifest.files}
        if verify:
            _verify(paths, manifest.files)
        return cls(folder, manifest)

    @property
    def model(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL

    @property
    def trunk(self) -> Path:
        """The ONNX graph from tokens [B, T, D] and num_tokens [B] on; T is dynamic."""
        return self.model if self.manifest.part == "trunk" else self.path / TRUNK

    @property
    def regions(self) -> Path:
        """Labels int32 [H, W] of all images; only where the tokenizer is square or pca_tree."""
        return self.path / REGIONS

    def read_regions(self) -> NDArray[np.int32]:
        """What lies at ``regions``; BundleError if it is not readable."""
        size = self.manifest.preprocessing
        try:
            regions = np.load(self.regions, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BundleError(f"{self.regions} is not readable: {error}") from error
        if regions.shape != (size.height, size.width) or regions.dtype != np.int32:
            raise BundleError(f"{self.regions} does not hold int32 [{size.height}, {size.width}]")
        labels: NDArray[np.int32] = regions
        return labels

    @property
    def check(self) -> Path:
        """The folder of check images (PNG) and ``expected.npz``."""
        return self.path / "check"

    @property
    def expected(self) -> Path:
        """The outputs that the check images must give."""
        return self.check / "expected.npz"

    @property
    def parity(self) -> Path:
        """The report of how far the exported graph is from the model it was made of."""
        return self.path / "parity.json"


def required_files(manifest: Manifest) -> list[str]:
    """Files without which a bundle cannot be run."""
    names = [MODEL]
    if manifest.part == "full":
        names.append(TRUNK)
        if manifest.tokenizer.kind in ("square", "pca_tree"):
            names.append(REGIONS)
    return names


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """Size and SHA-256 of all files below ``folder`` but its own manifest, sorted by name."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    paths = {name: _inside(folder, name) for name in names if name != MANIFEST}
    return {name: _entry(path) for name, path in paths.items()}


@contextmanager
def new_bundle(target: _PathLike) -> Iterator[Path]:
    """An empty folder to write a bundle into; it becomes ``target`` when the block ends well.

    A bundle that stands at ``target`` is replaced only then; after an exception it is untouched
    and nothing is left of the new one.  Anything else at ``target`` is refused at the start, with
    a BundleError.
    """
    place = Path(target).resolve()
    _refuse_foreign(place)
    folder = fresh_beside(place)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BundleError(f"cannot write to {place.parent}: {error.strerror}") from error
    try:
        yield folder
        if not _is_bundle(folder):
            raise BundleError(f"no {MANIFEST} and {MODEL} were written for {place}")
        _put_in_place(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_manifest(folder: Path) -> bytes:
    if folder.is_file():
        raise BundleError(f"{folder} is a file: give the folder that holds {MANIFEST}")
    if not folder.is_dir():
        cousin = folder.with_name(f"{folder.name}-random") if folder.name else folder
        hint = f": did you mean {cousin} (random weights)?" if cousin.is_dir() else ""
        raise BundleError(f"there is no bundle {folder}{hint}")
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}") from error
    except OSError as error:
        raise BundleError(f"cannot read {folder / MANIFEST}: {error.strerror}") from error


def _inside(folder: Path, name: str) -> Path:
    """The file's path, if ``name`` is plain and leads, symbolic links followed, into the folder."""
    plain = name.isprintable() and not set(name) & set("\\:")
    if not plain or any(part in ("", ".", "..") for part in name.split("/")):
        raise BundleError(f"{folder} lists {name!r}, which is not a plain relative path")
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise BundleError(f"{path} is a link that leads out of the bundle: copy the file itself")
    return path


def _verify(paths: Mapping[str, Path], files: Mapping[str, FileEntry]) -> None:
    """Compare all sizes first, because that is instant, then all hashes."""
    for name, path in paths.items():
        if not path.is_file():
            raise BundleError(f"{path} is missing: copy or export the bundle again")
        size = path.stat().st_size
        if size != files[name].bytes:
            raise BundleError(
                f"{path} has {size} bytes instead of {files[name].bytes}: "
                "copy or export the bundle again"
            )
    for name, path in paths.items():
        if _entry(path).sha256 != files[name].sha256:
            raise BundleError(
                f"{path} does not have the SHA-256 that the manifest gives: "
                "copy or export the bundle again"
            )


def _entry(path: Path) -> FileEntry:
    try:
        sha256, size = file_sha256(path)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    return FileEntry(sha256=sha256, bytes=size)


def _is_bundle(folder: Path) -> bool:
    # Both, because a manifest.json alone is found in many folders that are not ours to delete.
    return (folder / MANIFEST).is_file() and (folder / MODEL).is_file()


def _refuse_foreign(place: Path) -> None:
    """Raise BundleError unless ``place`` is free, an empty folder or a bundle."""
    if place.is_dir():
        if any(place.iterdir()) and not _is_bundle(place):
            raise BundleError(f"{place} exists and is not a bundle: remove it or choose another")
    elif place.exists():
        raise BundleError(f"{place} is a file: choose a folder for the bundle")


def _put_in_place(folder: Path, place: Path) -> None:
    """Rename ``folder`` to ``place``; what stood there comes back if that fails."""
    _refuse_foreign(place)
    old = fresh_beside(place)
    try:
        if place.exists():
            place.rename(old)
        folder.rename(place)
    finally:
        if not place.exists() and old.exists():
            old.rename(place)
        shutil.rmtree(old, ignore_errors=True)
