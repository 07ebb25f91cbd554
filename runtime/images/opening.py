"""Image files opened: which formats, which files, and what of their metadata matters."""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps

from spit_edge.base.text import shown
from spit_edge.runtime.errors import ImageError

FORMATS = (
    # What cameras, browsers and scanners write ...
    "JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "TIFF", "GIF", "BMP", "DIB", "ICO", "ICNS",
    # ... and plain rasters of older programs and of computer vision.
    "PPM", "TGA", "QOI", "PCX", "PSD", "SGI",
)  # fmt: skip
"""What of Pillow's formats is read, where its build has them.

Left out: EPS, which starts Ghostscript; IPTC, which hands what is in it to any other format, EPS
among them; WMF, BUFR, GRIB and HDF5, whose readers are programs of others; films, and the textures
and tables of games, telescopes and microscopes, which are no photographs.
"""
MAX_FILE_BYTES = 1 << 30
"""Of a file that is opened at all.  Pillow's limit of 89 million pixels, uncompressed with four
channels of 16 bits, takes 0.7 of it."""

_METADATA = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", 0xDA
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """A regular file of bounded size, for reading.  Raises ImageError for whatever is none."""
    name = shown(file)
    try:
        # Without waiting, as a FIFO would for its writer; the checks are of what was opened.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"there is no image file {name}") from None
    except ValueError as error:
        raise ImageError(f"{name} is not the name of a file: {error}") from error
    except OSError as error:
        raise ImageError(f"{name} cannot be opened: {error.strerror}") from error
    problem = _problem(os.fstat(descriptor))
    if problem is not None:
        os.close(descriptor)
        raise ImageError(f"{name} {problem}")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _problem(status: os.stat_result) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, not an image file"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES / 1e9:.1f} GB for an image file"
        return f"has {status.st_size / 1e9:.1f} GB, more than the limit of {limit}"
    return None


def upright(stream: BinaryIO) -> Image.Image:
    """The first picture in ``stream``, whole, turned as it is meant to be seen.

    Of the metadata only the orientation is needed: where it cannot be read, the picture is taken
    as it lies in the file.  Raises what Pillow's decoders raise, which is any Exception.
    """
    try:
        return _turned(_image(stream))
    except Exception as error:
        stream.seek(0)
        bare = without_metadata(stream.read())
        if bare is None:
            raise
        try:
            return _turned(_image(io.BytesIO(bare)))
        except Exception:
            raise error from None


def without_metadata(data: bytes) -> bytes | None:
    """A PNG, JPEG or AVIF file without what may break its reading but is no part of the picture.

    None for other formats, whose readers in Pillow look at metadata only if they are asked.
    """
    if data.startswith(_PNG_START):
        return _PNG_START + b"".join(_png_pixels(data))
    if data.startswith(_JPEG_START):
        return _JPEG_START + b"".join(_jpeg_pixels(data))
    if data[4:8] == b"ftyp":
        # An item of another type is not looked at; its places in the file stay as they are.
        return data.replace(b"Exif\0", b"free\0").replace(b"mime", b"free")
    return None


def _png_pixels(data: bytes) -> Iterator[bytes]:
    """The chunks that pixels and orientation need."""
    at = len(_PNG_START)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] in _PNG_CHUNKS:
            yield data[at : at + 12 + size]
        at += 12 + size


def _jpeg_pixels(data: bytes) -> Iterator[bytes]:
    """All but the segments of applications; of these EXIF and XMP, and Adobe's if it is whole."""
    at = len(_JPEG_START)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = struct.unpack_from(">xBH", data, at)
        if marker == _JPEG_SCAN:
            break
        application = 0xE0 <= marker <= 0xEF
        if not application or marker == 0xE1 or (marker == 0xEE and size >= 14):
            yield data[at : at + 2 + size]
        at += 2 + size
    yield data[at:]


def _image(stream: BinaryIO) -> Image.Image:
    Image.init()
    image = Image.open(stream, formats=[name for name in FORMATS if name in Image.OPEN])
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow only warns up to twice its limit.
    if limit is not None and image.width * image.height > limit:
        size = f"{image.width} x {image.height}"
        raise ValueError(f"{size} pixels are more than the limit of {limit}")
    return image


def _turned(image: Image.Image) -> Image.Image:
    if image.format != "TIFF":  # whose reader turns the picture itself, while it loads
        image.load()
    orientation = Image.Exif()
    orientation[ExifTags.Base.Orientation] = _orientation(image)
    # Pillow reads, and writes anew, all of the metadata to turn a picture: it gets this alone.
    image.getexif = lambda: orientation  # type: ignore[method-assign]
    for name in _METADATA:
        image.info.pop(name, None)
    return ImageOps.exif_transpose(image)


def _orientation(image: Image.Image) -> int:
    """The number of EXIF or XMP from 1 to 8; 1, upright, where there is none that makes sense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata meets the same errors as a broken picture: any
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
