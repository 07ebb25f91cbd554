"""A folder of pictures: every one that can be read, by name; every other named and counted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from spit_edge.base.text import shown
from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images.loading import Pixels, fit_image, load_image


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """What may be a picture: all files in ``folder`` and the folders in it, sorted by name.

    Endings tell nothing.  Hidden files and folders are left out, and links to folders not followed.
    Raises ImageError if ``folder`` is not a folder that can be read, or one in it is not.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ImageError(f"there is no folder {shown(place)}")

    def refuse(error: OSError) -> None:
        raise ImageError(f"the folder {shown(error.filename)} cannot be read: {error.strerror}")

    found: list[Path] = []
    for parent, folders, files in os.walk(place, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(found)


class ImageFolder:
    """The pictures of a folder, loaded one after another.  Iterate over it, as often as needed.

    A file that cannot be read is warned of and left out, with their number at the end.  Raises
    ImageError at once for a folder without files, and at the end if none of them was readable.

    files     all files that are tried
    left_out  why one is not among the pictures, by name; of the iteration that ran last
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self.files = find_images(folder)
        self.left_out: dict[str, str] = {}
        if not self.files:
            raise ImageError(f"there are no images in {shown(folder)}")

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[str, Pixels]]:
        """Names, relative to the folder and as :func:`shown` gives them, and pictures [h, w, 3]."""
        for file, image in self.by_file():
            yield shown(file), image

    def fitted(self, height: int, width: int) -> Iterator[tuple[str, Pixels]]:
        """The same, each at this size."""
        for name, image in self:
            yield name, fit_image(image, height, width)

    def by_file(self) -> Iterator[tuple[Path, Pixels]]:
        """The same, with their files, relative to the folder, in place of the names."""
        self.left_out = {}
        for path in self.files:
            file = path.relative_to(self._folder)
            try:
                image = load_image(path)
            except ImageError as error:
                self.left_out[shown(file)] = str(error)
                warnings.warn(f"left out: {error}", stacklevel=2)
            else:
                yield file, image
        self._count()

    def _count(self) -> None:
        count, total, folder = len(self.left_out), len(self), shown(self._folder)
        if count == total:
            reason = next(iter(self.left_out.values()))
            raise ImageError(f"none of the {total} files in {folder} is a picture: {reason}")
        if count:
            warnings.warn(f"{count} of {total} files in {folder} were left out", stacklevel=3)
