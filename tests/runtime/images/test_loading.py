"""Images: files of every kind become what one sees, and batches become what the model takes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images import (
    as_nchw,
    fit_image,
    load_image,
    sample_photos,
)

Array = NDArray[Any]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    channels = [y * 255 / height, x * 255 / width, 127 + 100 * np.sin((x + y) / 17)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def save(path: Path, array: Array, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def mode(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.mode)


def png(path: Path, size: tuple[int, int], depth: int, colour: int, *chunks: bytes) -> Path:
    """A PNG file of ``chunks`` (type and data), for what Pillow does not write itself."""
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, *chunks, b"IEND")
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def scanlines(rows: Array) -> bytes:
    """An IDAT chunk of ``rows`` (big-endian bytes, one row each), without filters."""
    return b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))


# Loading


def test_a_png_comes_back_bit_for_bit(tmp_path: Path) -> None:
    array = noise(5, 7, 3)
    loaded = load_image(save(tmp_path / "a.png", array))
    assert loaded.dtype == np.uint8
    assert loaded.flags.c_contiguous and loaded.flags.writeable
    np.testing.assert_array_equal(loaded, array)
    np.testing.assert_array_equal(load_image(str(tmp_path / "a.png")), array)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    save(tmp_path / "a.txt", noise(4, 4, 3), format="PNG")
    np.testing.assert_array_equal(load_image(tmp_path / "a.txt"), noise(4, 4, 3))


# What a camera stores for each orientation, given the picture as one sees it.
STORED: dict[int, Callable[[Array], Array]] = {
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    seen = smooth(24, 40)
    stored = np.ascontiguousarray(STORED[orientation](seen))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {
        ".webp": {"lossless": True},
        ".jpg": {"quality": 95, "subsampling": 0},
    }
    path = save(tmp_path / f"a{suffix}", stored, exif=exif, **options.get(suffix, {}))
    loaded = load_image(path)
    assert loaded.shape == seen.shape
    error = np.abs(loaded.astype(int) - seen).max()
    assert error <= (12 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_changes_nothing(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(save(tmp_path / "a.png", noise(3, 5, 3), exif=exif))
    np.testing.assert_array_equal(loaded, noise(3, 5, 3))


def test_orientation_of_16_bit_grey(tmp_path: Path) -> None:
    values = np.arange(15, dtype=np.uint16).reshape(3, 5) * 4000
    exif = Image.Exif()
    exif[0x0112] = 6
    loaded = load_image(save(tmp_path / "a.png", np.rot90(values, 1).copy(), exif=exif))
    np.testing.assert_array_equal(loaded, np.repeat(values[..., None] >> 8, 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_grey_is_repeated(tmp_path: Path, suffix: str) -> None:
    grey = noise(6, 4)
    loaded = load_image(save(tmp_path / f"a{suffix}", grey))
    np.testing.assert_array_equal(loaded, np.repeat(grey[..., None], 3, axis=2))


def test_black_and_white(tmp_path: Path) -> None:
    bits = noise(6, 9) > 127
    loaded = load_image(save(tmp_path / "a.png", bits))
    np.testing.assert_array_equal(loaded, np.repeat(bits[..., None], 3, axis=2) * np.uint8(255))


def test_palette(tmp_path: Path) -> None:
    colours = noise(8, 3)
    index = noise(5, 6) % 8
    image = Image.fromarray(index).convert("L")
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png")
    assert mode(tmp_path / "a.png") == "P"
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), colours[index])


def test_a_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    colours = noise(8, 3)
    index = noise(5, 6) % 8
    image = Image.fromarray(index).convert("L")
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", transparency=3)
    colours[3] = 255
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), colours[index])


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    array = noise(16, 16, 4)
    array[0, :, 3], array[1, :, 3] = 0, 255
    loaded = load_image(save(tmp_path / "a.png", array))
    colour, alpha = array[..., :3].astype(float), array[..., 3:] / 255
    assert np.abs(loaded - (colour * alpha + 255 * (1 - alpha))).max() <= 1
    assert (loaded[0] == 255).all()
    np.testing.assert_array_equal(loaded[1], array[1, :, :3])


def test_grey_with_alpha(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.dstack([noise(4, 4), np.zeros((4, 4), np.uint8)]))
    assert mode(path) == "LA"
    assert (load_image(path) == 255).all()


def test_a_transparent_colour_is_white(tmp_path: Path) -> None:
    array = np.full((2, 2, 3), 9, np.uint8)
    array[0, 0] = (1, 2, 3)
    loaded = load_image(save(tmp_path / "a.png", array, transparency=(1, 2, 3)))
    assert (loaded[0, 0] == 255).all() and (loaded[1] == 9).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_of_16_bit_grey_the_upper_byte_is_kept(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    loaded = load_image(save(tmp_path / f"a{suffix}", values))
    np.testing.assert_array_equal(loaded, np.repeat(values[..., None] >> 8, 3, axis=2))


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    image = Image.frombytes("I;16B", (8, 8), values.astype(">u2").tobytes())
    image.save(tmp_path / "a.tif")
    loaded = load_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(loaded[..., 0], values >> 8)


def test_a_transparent_16_bit_grey_is_white(tmp_path: Path) -> None:
    values = np.array([[0x1234, 0x1235]], dtype=">u2")
    key = b"tRNS" + struct.pack(">H", 0x1234)
    loaded = load_image(png(tmp_path / "a.png", (2, 1), 16, 0, key, scanlines(values)))
    np.testing.assert_array_equal(loaded[0, :, 0], [255, 0x12])


def test_of_16_bit_colour_the_upper_byte_is_kept(tmp_path: Path) -> None:
    values = noise(4, 5, 6).view(">u2")
    loaded = load_image(png(tmp_path / "a.png", (5, 4), 16, 2, scanlines(values)))
    np.testing.assert_array_equal(loaded, values >> 8)


def test_cmyk(tmp_path: Path) -> None:
    seen = smooth(32, 32)
    path = save(tmp_path / "a.jpg", seen, "CMYK", quality=100)
    assert mode(path) == "CMYK"
    assert np.abs(load_image(path).astype(int) - seen).mean() < 3


def test_cmyk_tiff_is_exact(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", noise(4, 4, 3), "CMYK")
    np.testing.assert_array_equal(load_image(path), noise(4, 4, 3))


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_image(tmp_path / "a.gif")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("values", [[[-1, 0]], [[0, 65536]]])
def test_32_bit_integers_are_refused(tmp_path: Path, values: list[list[int]]) -> None:
    path = save(tmp_path / "a.tif", np.array(values, np.int32))
    with pytest.raises(ImageError, match=r"a\.tif .*32-bit numbers"):
        load_image(path)


def test_floating_point_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.ones((2, 2), np.float32))
    with pytest.raises(ImageError, match=r"a\.tif .*floating-point"):
        load_image(path)


def test_missing_files_folders_and_devices(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"there is no image file .*a\.png"):
        load_image(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="pipe is not a regular file"):
        load_image(tmp_path / "pipe")


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello", b"\x89PNG", b"\xff\xd8\xff"])
def test_what_is_no_image_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png (is not|cannot be read as) an image"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    stream = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(stream, kind)
    data = stream.getvalue()
    (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=str(tmp_path / "a")):
        load_image(tmp_path / "a")


def test_damaged_files_give_an_image_or_an_image_error(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(smooth(16, 16)).save(stream, kind)
        for _ in range(60):
            data = np.frombuffer(stream.getvalue(), np.uint8).copy()
            data[random.integers(0, len(data), 4)] = random.integers(0, 256, 4)
            (tmp_path / "a").write_bytes(data.tobytes())
            try:
                assert load_image(tmp_path / "a").dtype == np.uint8
            except ImageError as error:
                assert str(tmp_path / "a") in str(error)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_000, 9_000), (20_000, 10_000), (60_000, 60_000)])
def test_decompression_bombs_are_refused_unread(tmp_path: Path, size: tuple[int, int]) -> None:
    path = png(tmp_path / "a.png", size, 8, 2, b"IDAT" + zlib.compress(b""))
    with pytest.raises(ImageError, match=r"a\.png cannot be read as an image: .*pixels"):
        load_image(path)


def test_the_limit_is_the_one_set_in_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", noise(10, 10, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    load_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    load_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(ImageError, match="10 x 10 pixels are more than the limit of 99"),
    ):
        load_image(path)


def test_sample_photos_load() -> None:
    shapes = {name: load_image(path).shape for name, path in sample_photos().items()}
    assert shapes == {
        "astronaut": (512, 512, 3),
        "chelsea": (300, 451, 3),
        "coffee": (400, 600, 3),
    }


# Fitting


def test_the_right_size_is_left_alone() -> None:
    image = noise(9, 13, 3)
    np.testing.assert_array_equal(fit_image(image, 9, 13), image)


@pytest.mark.parametrize(
    ("source", "target", "rows", "columns"),
    [
        ((9, 13), (9, 9), slice(0, 9), slice(2, 11)),
        ((9, 14), (9, 9), slice(0, 9), slice(2, 11)),
        ((14, 9), (9, 9), slice(2, 11), slice(0, 9)),
        ((300, 451), (300, 300), slice(0, 300), slice(75, 375)),
    ],
)
def test_one_side_too_long_is_only_cropped(
    source: tuple[int, int], target: tuple[int, int], rows: slice, columns: slice
) -> None:
    image = noise(*source, 3)
    np.testing.assert_array_equal(fit_image(image, *target), image[rows, columns])


@pytest.mark.parametrize("source", [(300, 451), (451, 300), (100, 90), (224, 1000), (37, 37)])
@pytest.mark.parametrize("target", [(224, 224), (160, 96), (64, 300)])
def test_it_is_resize_then_crop(source: tuple[int, int], target: tuple[int, int]) -> None:
    image = smooth(*source)
    scale = max(target[0] / source[0], target[1] / source[1])
    height, width = (max(t, round(s * scale)) for s, t in zip(source, target, strict=True))
    whole = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - target[0]) // 2, (width - target[1]) // 2
    expected = whole[top : top + target[0], left : left + target[1]]
    fitted = fit_image(image, *target)
    assert fitted.shape == (*target, 3) and fitted.dtype == np.uint8
    # Two roundings to 8 bits; a shift by half a pixel would give a mean of 0.2 and more.
    error = np.abs(fitted.astype(int) - expected)
    assert error.max() <= 2 and error.mean() < 0.05


def test_shrinking_does_not_alias() -> None:
    checker = np.indices((256, 256)).sum(axis=0) % 2 * 255
    image = np.repeat(checker[..., None], 3, axis=2).astype(np.uint8)
    inner = fit_image(image, 32, 32)[2:-2, 2:-2].astype(int)
    assert np.abs(inner - 127.5).max() < 5


def test_a_flat_image_stays_flat() -> None:
    image = np.full((31, 77, 3), (10, 200, 30), np.uint8)
    assert (fit_image(image, 50, 40) == (10, 200, 30)).all()


@pytest.mark.parametrize(
    ("source", "target"),
    [((1, 1), (224, 224)), ((1, 100_000), (224, 224)), ((100_000, 1), (8, 8)), ((7, 3), (1, 1000))],
)
def test_extreme_shapes(source: tuple[int, int], target: tuple[int, int]) -> None:
    assert fit_image(noise(*source, 3), *target).shape == (*target, 3)


def test_views_are_fitted_like_copies() -> None:
    view = noise(40, 60, 3)[::-1, ::2]
    np.testing.assert_array_equal(fit_image(view, 16, 16), fit_image(view.copy(), 16, 16))


@pytest.mark.parametrize(
    "image",
    [
        noise(4, 4),
        noise(4, 4, 4),
        noise(4, 4, 1),
        noise(3, 4, 4),
        noise(0, 4, 3),
        noise(1, 4, 4, 3),
    ],
    ids=lambda image: "x".join(map(str, image.shape)),
)
def test_only_photographs_are_fitted(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"expected \[height, width, 3\]"):
        fit_image(image, 4, 4)


def test_only_uint8_is_fitted() -> None:
    with pytest.raises(ImageError, match="float32 pixels, expected uint8"):
        fit_image(np.zeros((4, 4, 3), np.float32), 4, 4)


@pytest.mark.parametrize("target", [(0, 4), (4, 0), (-1, 4)])
def test_a_target_without_pixels_is_refused(target: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="cannot be fitted"):
        fit_image(noise(4, 4, 3), *target)


# Finding


# Batches


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (5, 3), (1, 1), (3, 3)])
def test_channels_last_and_channels_first(size: tuple[int, int]) -> None:
    last = noise(2, *size, 3)
    batch = as_nchw(last, *size)
    assert batch.shape == (2, 3, *size)
    assert batch.dtype == np.uint8 and batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, last.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(as_nchw(last[1], *size), batch[1:])
    if size != (3, 3):
        np.testing.assert_array_equal(as_nchw(batch, *size), batch)
        np.testing.assert_array_equal(as_nchw(batch[0], *size), batch[:1])


def test_a_contiguous_batch_is_not_copied() -> None:
    batch = noise(2, 3, 4, 6)
    assert np.shares_memory(as_nchw(batch, 4, 6), batch)


def test_views_become_contiguous() -> None:
    batch = noise(4, 3, 4, 12)[::2, :, :, ::2]
    result = as_nchw(batch, 4, 6)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, batch)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_floating_point_batches_are_refused(dtype: type[Any]) -> None:
    with pytest.raises(
        ImageError, match=r"float\d\d pixels, expected uint8 values 0 to 255; do not"
    ):
        as_nchw(np.zeros((1, 3, 4, 6), dtype), 4, 6)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.bool_])
def test_other_types_are_refused(dtype: type[Any]) -> None:
    with pytest.raises(ImageError, match=f"got {np.dtype(dtype)} pixels, expected uint8"):
        as_nchw(np.zeros((1, 3, 4, 6), dtype), 4, 6)


def test_lists_are_refused() -> None:
    with pytest.raises(ImageError, match="got list, expected a NumPy array of uint8"):
        as_nchw([noise(4, 6, 3)], 4, 6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ((4, 6), "an array of shape"),
        ((), "an array of shape"),
        ((1, 1, 4, 6, 3), "an array of shape"),
        ((0, 4, 6, 3), "an empty batch"),
        ((0, 3, 4, 6), "an empty batch"),
        ((1, 0, 6, 3), "images without pixels"),
        ((1, 3, 4, 0), "images without pixels"),
        ((1, 4, 6, 0), "images without pixels"),
        ((1, 4, 6, 4), "images without exactly three channels"),
        ((1, 1, 4, 6), "images without exactly three channels"),
        ((4, 6, 1), "images without exactly three channels"),
        ((1, 5, 6, 3), "images of another size"),
        ((1, 6, 4, 3), "images of another size"),
        ((1, 3, 6, 4), "images of another size"),
        ((3, 8, 12), "images of another size"),
    ],
)
def test_wrong_shapes_tell_what_came_and_what_is_expected(
    shape: tuple[int, ...], problem: str
) -> None:
    with pytest.raises(ImageError) as caught:
        as_nchw(np.zeros(shape, np.uint8), 4, 6)
    message = str(caught.value)
    assert problem in message and str(list(shape)) in message
    assert "expected [B, 4, 6, 3] or [B, 3, 4, 6]" in message
    assert ("fit_image" in message) == (problem == "images of another size")
