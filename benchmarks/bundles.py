"""Exported models to measure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spit_edge.base.progress import Steps
from spit_edge.export.build import build
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Precision
from spit_edge.runtime.errors import BundleError


class BundleShelf:
    """Bundles with random weights in a folder, built when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, model: str, precision: Precision, size: int) -> Bundle:
        """The bundle of a model at an image side.  Raises SpitError if it cannot be built."""
        path = self._folder / f"{model}-{precision}-{size}-random"
        try:
            return Bundle.open(path)
        except BundleError:
            options = BuildOptions(
                model, precision=precision, weights="random", height=size, width=size, out=path
            )
            built = build(options, Steps(quiet=True))
            if not built.passed:
                raise BundleError(
                    f"{built.path} does not give the reference's results: see parity.json there"
                ) from None
            return Bundle.open(built.path)


@contextmanager
def bundle_shelf(folder: Path | None) -> Iterator[BundleShelf]:
    """Bundles in ``folder``, where they stay; None: in a folder for the block alone."""
    if folder is not None:
        yield BundleShelf(folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield BundleShelf(Path(temporary))
