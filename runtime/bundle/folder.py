"""A bundle: the folder that holds an exported model and all that is needed to trust and run it.

``model.onnx`` and, for runs that tokenize outside the graph, ``trunk.onnx``, which share a file of
weights; ``manifest.json``; ``check/`` (images and the answers expected for them); ``parity.json``;
``regions.npy`` where the regions are the same for all images.  Files that the manifest does not
list, engines for example, may stand beside them.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.bundle.graph_files import check_graph
from spit_edge.runtime.bundle.manifest import MANIFEST, MODEL, TRUNK, FileEntry, Manifest, decode
from spit_edge.runtime.bundle.placing import (
    MANIFEST_LIMIT,
    draft_of,
    is_bundle,
    prepare,
    put_in_place,
    recover,
    sentence,
)
from spit_edge.runtime.bundle.reading import check_name, read_inside, size_and_sha256
from spit_edge.runtime.errors import BundleError

__all__ = [
    "MANIFEST", "MODEL", "REGIONS", "TRUNK", "WEIGHTS",
    "Bundle", "hash_files", "new_bundle", "required_files",
]  # fmt: skip

WEIGHTS = "model.onnx.data"
REGIONS = "regions.npy"

MADE_ON_DEVICES = ("engines", "plugins")
"""Folders of code, which devices make for themselves."""
GRAPH_LIMIT = 256 << 20
"""Bytes of an ONNX file, whose weights lie in another."""
_HEADER_BYTES = 1024
_PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: _PathLike, *, verify: bool = True) -> Bundle:
        """Read the manifest and, with ``verify``, check all that it lists.

        Every file must be a plain one, no link, with the listed size and SHA-256; the graphs may
        read no other files.  What a killed writer of this bundle left is put right.

        Raises BundleError, which says what is missing or which file is not as it was written.
        """
        folder = Path(path)
        with contextlib.suppress(OSError):
            recover(folder.resolve())
        manifest = decode(_read_manifest(folder), str(folder / MANIFEST))
        for name in required_files(manifest):
            if name not in manifest.files:
                raise BundleError(f"{folder / MANIFEST} lists no {name}: export the bundle again")
        for name in manifest.files:
            check_name(folder, name)
            if name.split("/")[0] in MADE_ON_DEVICES:
                raise BundleError(
                    f"{folder / MANIFEST} lists {name}: a bundle is data and may not bring code"
                )
        if verify:
            _verify(folder, manifest)
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
        """What lies at ``regions``, numbered 0, 1, ...; BundleError if it is not readable."""
        size = self.manifest.preprocessing
        shape = (size.height, size.width)
        data = read_inside(self.path, REGIONS, 4 * size.height * size.width + _HEADER_BYTES)
        try:
            regions = np.load(io.BytesIO(data), allow_pickle=False)
        # NumPy's reader meets damaged headers with errors of Python's tokenizer, too.
        except Exception as error:
            raise BundleError(f"{self.regions} is not readable: {error}") from error
        if (
            not isinstance(regions, np.ndarray)
            or regions.shape != shape
            or regions.dtype != np.int32
        ):
            raise BundleError(f"{self.regions} does not hold int32 [{size.height}, {size.width}]")
        labels: NDArray[np.int32] = regions
        found = np.unique(labels)
        if found[0] != 0 or found[-1] != len(found) - 1:
            raise BundleError(f"{self.regions} does not number its regions 0, 1, ... without gaps")
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
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    return {name: _entry(folder, name) for name in names if name != MANIFEST}


@contextmanager
def new_bundle(target: _PathLike) -> Iterator[Path]:
    """An empty folder to write a bundle into; it becomes ``target`` when the block ends well.

    Of a bundle that stands at ``target``, the files that its manifest lists are replaced, only
    then and in one step; what else lies in it is kept.  After an exception it is untouched and
    nothing is left of the new one.  Anything but a bundle at ``target`` is refused at the start,
    with a BundleError.
    """
    place = Path(target).expanduser().resolve()
    prepare(place)
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(draft_of(place))
        except OSError as error:
            raise BundleError(sentence(error, place.parent)) from error
        try:
            yield folder
            if not is_bundle(folder):
                raise BundleError(f"no {MANIFEST} and {MODEL} were written for {place}")
            put_in_place(folder, place)
        except OSError as error:
            raise BundleError(sentence(error, place, folder)) from error


def _read_manifest(folder: Path) -> bytes:
    if folder.is_file():
        raise BundleError(f"{folder} is a file: give the folder that holds {MANIFEST}")
    if not folder.is_dir():
        cousin = folder.with_name(f"{folder.name}-random") if folder.name else folder
        hint = f": did you mean {cousin} (random weights)?" if cousin.is_dir() else ""
        raise BundleError(f"there is no bundle {folder}{hint}")
    if not os.path.lexists(folder / MANIFEST):
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}")
    return read_inside(folder, MANIFEST, MANIFEST_LIMIT)


def _verify(folder: Path, manifest: Manifest) -> None:
    """Compare all sizes first, because that is instant, then all hashes, then read the graphs."""
    for name, entry in manifest.files.items():
        path = folder / name
        with contextlib.suppress(OSError):  # hashing names what is wrong with such a file
            size = path.lstat().st_size
            if path.is_file() and not path.is_symlink() and size != entry.bytes:
                raise BundleError(
                    f"{path} has {size} bytes instead of {entry.bytes}: "
                    "copy or export the bundle again"
                )
    for name, entry in manifest.files.items():
        if _entry(folder, name) != entry:
            raise BundleError(
                f"{folder / name} does not have the SHA-256 that the manifest gives: "
                "copy or export the bundle again"
            )
    for name in (MODEL, TRUNK):
        if name in manifest.files:
            try:
                check_graph(read_inside(folder, name, GRAPH_LIMIT), manifest.files)
            except ValueError as error:
                raise BundleError(f"{folder / name} is not a graph to be run: {error}") from error


def _entry(folder: Path, name: str) -> FileEntry:
    size, sha256 = size_and_sha256(folder, name)
    return FileEntry(sha256=sha256, bytes=size)
