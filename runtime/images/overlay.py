"""A picture of the superpixels: their borders on the photograph, and their mean colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spit_edge.base.errors import FileError
from spit_edge.base.files import check_writable, whole_file
from spit_edge.base.text import shown
from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images.loading import Pixels

PICTURE_SIDE = 768
"""Pixels that the longer side of each half has at least, unless a scale is asked for."""

_GAP = 16  # white columns between the halves
_BORDER = (255, 255, 255)
_SHADE = 0.6

_Number = TypeVar("_Number", bound=np.generic)

_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpeg": ("JPEG", {"quality": 92, "subsampling": 0}),
    ".jpg": ("JPEG", {"quality": 92, "subsampling": 0}),
    ".png": ("PNG", {"optimize": True}),
    ".webp": ("WEBP", {"quality": 92}),
}


def overlay(image: Pixels, labels: NDArray[Any], *, scale: int | None = None) -> Image.Image:
    """Left ``image`` [H, W, 3] with the borders of ``labels`` [H, W], right the mean colours.

    Both halves are enlarged by the whole number ``scale``; None makes the longer side at least
    ``PICTURE_SIDE`` pixels.  Raises ImageError for shapes that do not belong together.
    """
    _check(image, labels)
    factor = -(-PICTURE_SIDE // max(labels.shape)) if scale is None else scale
    photograph = borders(image, labels, scale=factor)
    colours = _enlarge(mean_colours(image, labels), factor)
    gap = np.full((len(colours), _GAP, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([photograph, gap, colours], axis=1))


def borders(image: Pixels, labels: NDArray[Any], *, scale: int) -> Pixels:
    """``image`` [H, W, 3], enlarged by the whole number ``scale``, with the borders of ``labels``.

    Raises ImageError for shapes that do not belong together.
    """
    _check(image, labels)
    if scale < 1:
        raise ImageError(f"the scale of an overlay must be 1 or more, not {scale}")
    height, width = labels.shape
    size = (width * scale, height * scale)
    photograph = np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    _draw_borders(photograph, _enlarge(labels, scale))
    return photograph


def mean_colours(image: Pixels, labels: NDArray[Any]) -> Pixels:
    """``image`` [H, W, 3] with every pixel replaced by the mean of its region in ``labels``."""
    _check(image, labels)
    _, regions = np.unique(labels, return_inverse=True)
    regions = regions.reshape(-1)
    sums = [np.bincount(regions, weights=channel) for channel in image.reshape(-1, 3).T]
    means = np.rint(np.stack(sums, axis=1) / np.bincount(regions)[:, np.newaxis])
    return means.astype(np.uint8)[regions].reshape(image.shape)


def save_picture(picture: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write ``picture`` in the format that the suffix names; a whole file or none.

    Raises ImageError for a suffix that is not known and for a place that cannot be written.
    """
    file = Path(path)
    check_place(file)
    name, options = _FORMATS[file.suffix.lower()]
    try:
        with whole_file(file) as stream:
            picture.save(stream, format=name, **options)
    except OSError as error:
        raise ImageError(f"cannot write {shown(file)}: {error}") from error


def check_place(file: Path) -> None:
    """Raise ImageError if ``save_picture`` could not write ``file``: before the work, not after."""
    if file.suffix.lower() not in _FORMATS:
        suffixes = ", ".join(_FORMATS)
        raise ImageError(f"cannot write {shown(file)}: its suffix must be one of {suffixes}")
    try:
        check_writable(file)
    except FileError as error:
        raise ImageError(str(error)) from error


def _check(image: Pixels, labels: NDArray[Any]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(
            f"got {image.dtype} {list(image.shape)}, expected an image of uint8 [height, width, 3]"
        )
    if labels.dtype.kind not in "iu" or labels.shape != image.shape[:2]:
        raise ImageError(
            f"got labels of {labels.dtype} {list(labels.shape)}, expected whole numbers of the "
            f"image's size {list(image.shape[:2])}"
        )


def _enlarge(array: NDArray[_Number], factor: int) -> NDArray[_Number]:
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def _draw_borders(photograph: Pixels, labels: NDArray[Any]) -> None:
    """A line along the top and left edge of every region, in place, and a shade around it."""
    line = np.zeros(labels.shape, bool)
    line[1:] |= labels[1:] != labels[:-1]
    line[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    near = line.copy()
    near[:-1] |= line[1:]
    near[1:] |= line[:-1]
    near[:, :-1] |= line[:, 1:]
    near[:, 1:] |= line[:, :-1]
    photograph[near] = (photograph[near] * _SHADE).astype(np.uint8)
    photograph[line] = _BORDER
