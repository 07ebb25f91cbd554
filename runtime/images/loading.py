"""From image files to the uint8 batches that a bundle takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from spit_edge.base.text import shown
from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images.opening import opened, upright

Pixels = NDArray[np.uint8]


def load_image(path: str | os.PathLike[str]) -> Pixels:
    """The picture as one sees it: uint8 [height, width, 3], RGB.

    The content decides, not the name; the formats are ``opening.FORMATS``.  Orientation is
    applied, transparency laid on white, of 16 bits the upper 8 kept, of an animation the first
    frame taken.  Raises ImageError for whatever is not a whole image file.
    """
    file = Path(path)
    with opened(file) as stream:
        try:
            return np.array(_as_rgb(upright(stream)), dtype=np.uint8)
        except UnidentifiedImageError as error:
            raise ImageError(f"{shown(file)} is not an image in a supported format") from error
        # Decoders meet damaged data with SyntaxError, struct.error, EOFError and many more.
        except Exception as error:
            raise ImageError(f"{shown(file)} cannot be read as an image: {error}") from error


def fit_image(image: Pixels, height: int, width: int) -> Pixels:
    """Scale ``image`` [h, w, 3] until it just covers height x width, and crop it in the centre.

    Bicubic, with the filter widened when it shrinks (so no aliasing).  An image of the right size
    comes back as it is; one that is only too long on one side is cropped without resampling.
    """
    image = as_array(image)
    _check_photograph(image)
    if height < 1 or width < 1:
        raise ImageError(f"an image cannot be fitted to {height} x {width} pixels")
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(image)
    scale = max(height / rows, width / columns)
    top, bottom = _centred_span(rows, height, scale)
    left, right = _centred_span(columns, width, scale)
    # Only the part that is kept gets resampled: the whole of a 1 x 100000 strip would be huge.
    fitted = Image.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, right, bottom)
    )
    return np.array(fitted, dtype=np.uint8)


def load_fitted(path: str | os.PathLike[str], height: int, width: int) -> Pixels:
    """An image file as a model sees it: [height, width, 3].  Raises ImageError."""
    return fit_image(load_image(path), height, width)


def speaks_numpy(images: object) -> bool:
    """Whether it gives a NumPy array, as torch's tensors and Pillow's images do."""
    return hasattr(images, "__array__") or hasattr(images, "__array_interface__")


def as_array(images: Any) -> NDArray[Any]:
    """What is an array on the CPU, of NumPy or of another library, as NumPy's, without a copy.

    Raises ImageError for what is none, such as lists.
    """
    if isinstance(images, np.ndarray):
        return images
    if not speaks_numpy(images):
        raise ImageError(f"got {type(images).__name__}, expected a NumPy array of uint8")
    try:
        return np.asarray(images)
    except Exception as error:  # whatever a library raises for its own types and devices
        kind = type(images).__name__
        raise ImageError(f"this {kind} cannot be converted to a NumPy array: {error}") from error


def as_nchw(images: Any, height: int, width: int) -> Pixels:
    """``images`` as a contiguous uint8 batch [B, 3, height, width], without a copy if it is one.

    Takes [B, height, width, 3], [B, 3, height, width] or a single image without the B.  Where
    both layouts fit, which is so for 3 x 3 pixels only, the channels are taken to be last.
    Raises ImageError that tells what came and what was expected.
    """
    images = as_array(images)
    _check_pixels(images)
    expected = f"expected [B, {height}, {width}, 3] or [B, 3, {height}, {width}]"
    batch = images[np.newaxis] if images.ndim == 3 else images
    if batch.ndim != 4:
        raise ImageError(f"got an array of shape {_shape(images)}, {expected}")
    if len(batch) == 0:
        raise ImageError(f"got an empty batch of shape {_shape(images)}, {expected}")
    if batch.shape[1:] == (height, width, 3):
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
    if batch.shape[1:] == (3, height, width):
        return np.ascontiguousarray(batch)
    if 0 in batch.shape:
        problem = "images without pixels"
    elif 3 in (batch.shape[1], batch.shape[3]):
        problem = "images of another size"
    else:
        problem = "images without exactly three channels"
    cure = "; fit_image gives that size" if problem.endswith("size") else ""
    raise ImageError(f"got {problem}, shape {_shape(images)}, {expected}{cure}")


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, 8 bits per channel are expected")
    if image.mode.startswith("I"):
        return _upper_byte(image).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image.convert("RGB")


def _upper_byte(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow itself would clip at 255; depending on the file in mode I or I;16.

    Of 16-bit colour Pillow keeps the upper byte too.
    """
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its pixels are 32-bit numbers, 8 or 16 bits per channel are expected")
    grey = (values >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _centred_span(size: int, target: int, scale: float) -> tuple[float, float]:
    """Start and end, in source pixels, of the ``target`` pixels in the middle of the scaled axis.

    The scaled axis has a whole number of pixels and the crop starts at one of them, so that the
    result is, but for rounding, that of scaling everything and slicing.
    """
    scaled = max(target, round(size * scale))
    start = (scaled - target) // 2
    return start * size / scaled, min((start + target) * size / scaled, float(size))


def _check_photograph(image: NDArray[Any]) -> None:
    _check_pixels(image)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"got an array of shape {_shape(image)}, expected [height, width, 3]")


def _check_pixels(images: NDArray[Any]) -> None:
    if images.dtype != np.uint8:
        scaled = "; do not scale or normalise" if images.dtype.kind == "f" else ""
        raise ImageError(f"got {images.dtype} pixels, expected uint8 values 0 to 255{scaled}")


def _shape(array: NDArray[Any]) -> str:
    return str(list(array.shape))


def sample_photos() -> dict[str, Path]:
    """Path of each photograph by name (``astronaut``, ``chelsea``, ``coffee``)."""
    folder = Path(__file__).parents[1] / "photos"
    return {path.stem: path for path in sorted(folder.glob("*.jpg"))}


def fitted_samples(height: int, width: int) -> dict[str, NDArray[np.uint8]]:
    """These photographs [height, width, 3] by name."""
    return {name: load_fitted(path, height, width) for name, path in sample_photos().items()}
