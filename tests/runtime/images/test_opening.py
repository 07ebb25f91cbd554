"""What is opened as an image, and that no metadata keeps a whole picture from being read."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images import load_image
from spit_edge.runtime.images.opening import FORMATS, MAX_FILE_BYTES

SEEN = np.arange(24 * 40 * 3, dtype=np.uint32).reshape(24, 40, 3).astype(np.uint8)


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SEEN).save(stream, kind, **options)
    return stream.getvalue()


def exif(*entries: tuple[int, int, int, bytes], extra: bytes = b"") -> bytes:
    """A TIFF structure of entries (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHI", t, k, n) + v for t, k, n, v in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4) + extra


def turned(*entries: tuple[int, int, int, bytes], extra: bytes = b"") -> bytes:
    """To be turned by a quarter, and ``entries``, whose values lie behind."""
    behind = struct.pack("<I", 8 + 2 + 12 * (1 + len(entries)) + 4)
    with_place = [(t, k, n, v or behind) for t, k, n, v in entries]
    return exif((0x112, 3, 1, struct.pack("<HH", 6, 0)), *with_place, extra=extra)


ODD_TAGS = {
    "rational -1/0": turned((0x11A, 10, 1, b""), extra=struct.pack("<ii", -1, 0)),
    "negative long": turned((0x103, 9, 1, struct.pack("<i", -5))),
    "not a number": turned((0x11A, 12, 1, b""), extra=struct.pack("<d", float("nan"))),
    "sub-IFD nowhere": turned((0x8769, 4, 1, struct.pack("<I", 1 << 30))),
    "orientation of two": exif((0x112, 3, 2, struct.pack("<HH", 6, 6))),
    "GPS of text": turned((0x8825, 2, 4, b"abcd")),
}
BROKEN = {
    "garbage": b"\0\x08\0\x02\x01\x12\0\x03",
    "empty": b"",
    "a header alone": b"II*\0\x08\0\0\0",
    "orientation of text": exif((0x112, 2, 4, b"six\0")),
    "orientation of a fraction": exif((0x112, 12, 1, struct.pack("<I", 1 << 20))),
    "orientation 65535": exif((0x112, 3, 1, struct.pack("<HH", 65535, 0))),
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes) -> bytes:
    data = encoded("PNG")
    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def jpeg_with(marker: int, content: bytes) -> bytes:
    data = encoded("JPEG", quality=95)
    head = struct.pack(">BBH", 0xFF, marker, len(content) + 2)
    return data[:2] + head + content + data[2:]


@pytest.mark.parametrize("name", [*ODD_TAGS, *BROKEN])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_is_asked_for_the_orientation_alone(tmp_path: Path, kind: str, name: str) -> None:
    data = {**ODD_TAGS, **BROKEN}[name]
    if kind == "JPEG":
        content = jpeg_with(0xE1, b"Exif\0\0" + data)
    elif kind == "PNG":
        content = png_with(chunk(b"eXIf", data))
    else:
        content = encoded("WEBP", lossless=True, exif=b"Exif\0\0" + data)
    (tmp_path / "a").write_bytes(content)
    loaded = load_image(tmp_path / "a")
    wanted = np.rot90(SEEN, -1) if name in ODD_TAGS else SEEN
    assert loaded.shape == wanted.shape
    if kind != "JPEG":
        assert (loaded == wanted).all()


@pytest.mark.parametrize("name", ODD_TAGS)
@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_exif_of_avif(tmp_path: Path, name: str) -> None:
    plain = encoded("AVIF", exif=b"Exif\0\0" + exif((0x131, 2, 4, b"abc\0")))
    wanted, odd = exif((0x131, 2, 4, b"abc\0")), ODD_TAGS[name]
    damaged = plain.replace(wanted, odd[: len(wanted)].ljust(len(wanted), b"\0"))
    assert damaged != plain
    (tmp_path / "a").write_bytes(damaged)
    assert load_image(tmp_path / "a").shape in (SEEN.shape, (40, 24, 3))


@pytest.mark.parametrize(
    "xmp",
    [b"\xff\xfe\0<", b"<x tiff:Orientation=", b'tiff:Orientation="9"', b"\0" * 50],
)
def test_broken_xmp(tmp_path: Path, xmp: bytes) -> None:
    (tmp_path / "a").write_bytes(jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    assert load_image(tmp_path / "a").shape == SEEN.shape
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    (tmp_path / "a").write_bytes(png_with(chunk(b"iTXt", text)))
    assert (load_image(tmp_path / "a") == SEEN).all()


def test_orientation_in_xmp(tmp_path: Path) -> None:
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    (tmp_path / "a").write_bytes(jpeg_with(0xE1, xmp))
    assert load_image(tmp_path / "a").shape == (40, 24, 3)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\x07not deflated"),
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"profile\0\x09?"),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 3\nxyz")),
        chunk(b"tEXt", b"a\0b")[:-4] + b"nope",
        chunk(b"pHYs", b"\0"),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"\0\0"),
        chunk(b"sRGB", b""),
    ],
    ids=["method", "bomb", "profile", "raw exif", "sum", "pHYs", "gAMA", "cHRM", "sRGB"],
)
def test_other_chunks_of_png(tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "a").write_bytes(png_with(extra, chunk(b"eXIf", ODD_TAGS["negative long"])))
    assert (load_image(tmp_path / "a") == np.rot90(SEEN, -1)).all()


def test_other_segments_of_jpeg(tmp_path: Path) -> None:
    for marker, content in [
        (0xE0, b"JFIF\0"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"MPF\0II*\0\xff\xff"),
        (0xE2, b"MPF\0" + exif((0xB001, 4, 1, struct.pack("<I", 9)))),
        (0xED, b"Photoshop 3.0\08BIM\x03\xed\0\0\0\0\xff\xff"),
        (0xED, b"Photoshop 3.0\08BIM"),
        (0xEE, b"Adobe\0d"),
    ]:
        (tmp_path / "a").write_bytes(jpeg_with(marker, content))
        assert load_image(tmp_path / "a").shape == SEEN.shape, content


def tiff(*entries: tuple[int, int, int, bytes], compressed: bool) -> bytes:
    """SEEN as a TIFF file with ``entries`` more."""
    pixels = zlib.compress(SEEN.tobytes()) if compressed else SEEN.tobytes()
    count = 9 + len(entries)
    start = 8 + 2 + 12 * count + 4
    own = [
        (256, SEEN.shape[1]),
        (257, SEEN.shape[0]),
        (258, 8),
        (259, 8 if compressed else 1),
        (262, 2),
        (273, start),
        (277, 3),
        (278, SEEN.shape[0]),
        (279, len(pixels)),
    ]
    fields = [(tag, 4, 1, struct.pack("<I", value)) for tag, value in own]
    return exif(*sorted([*fields, *entries]), extra=pixels)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    "entry",
    [
        (0x8769, 4, 1, struct.pack("<I", 1 << 20)),
        (0x8825, 4, 1, struct.pack("<I", 1 << 30)),
        (0x8825, 2, 4, b"abcd"),
        (0x02BC, 3, 2, b"\0\0\0\0"),
        (0x011A, 10, 1, struct.pack("<I", 1 << 20)),
        (0x8649, 1, 4, b"\xff\xff\xff\xff"),
    ],
)
def test_broken_parts_of_tiff(tmp_path: Path, compressed: bool, entry) -> None:
    orientation = (0x112, 3, 1, struct.pack("<HH", 6, 0))
    (tmp_path / "a.tif").write_bytes(tiff(orientation, compressed=compressed))
    assert (load_image(tmp_path / "a.tif") == np.rot90(SEEN, -1)).all()
    (tmp_path / "a.tif").write_bytes(tiff(orientation, entry, compressed=compressed))
    assert (load_image(tmp_path / "a.tif") == np.rot90(SEEN, -1)).all()


def test_no_format_starts_programs(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    eps = encoded("EPS")
    iptc = b"\x1c\x08\x0a" + struct.pack(">H", len(eps)) + eps
    for data in (eps, iptc, b"%!PS-Adobe-3.0\n" + eps):
        (tmp_path / "photo.jpg").write_bytes(data)
        with pytest.raises(ImageError, match="not an image in a supported format"):
            load_image(tmp_path / "photo.jpg")
    assert not (tmp_path / "ran").exists() and "EPS" not in FORMATS


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_one_of_pillow(kind: str) -> None:
    Image.init()
    assert kind in Image.OPEN


def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ImageError, match=f"{name} is not a regular file"):
            load_image(tmp_path / name)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ImageError, match=r"large has 1\.1 GB, more than the limit"):
        load_image(tmp_path / "large")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "a.png/b.png"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    with pytest.raises(ImageError):
        load_image(tmp_path / name)


def test_errors_show_names_escaped(tmp_path: Path) -> None:
    for name in ("\x1b[2J.png", os.fsdecode(b"\xff.png"), "\u202ecod.exe"):
        (tmp_path / name).write_bytes(b"no picture")
        with pytest.raises(ImageError) as error:
            load_image(tmp_path / name)
        assert str(error.value).isprintable() and str(error.value).encode()
