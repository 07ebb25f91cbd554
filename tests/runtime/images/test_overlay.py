"""Overlays: the drawn picture, pixel by pixel where it is small, and how it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images.overlay import (
    PICTURE_SIDE,
    check_place,
    mean_colours,
    overlay,
    save_picture,
)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def halves(
    image: NDArray[np.uint8], labels: NDArray[Any], scale: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    picture = np.array(overlay(image, labels, scale=scale))
    width = image.shape[1] * scale
    return picture[:, :width], picture[:, -width:]


# Mean colours


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint8])
def test_mean_colours_are_those_of_a_plain_loop(dtype: type[Any]) -> None:
    image = noise(12, 9, 3)
    labels = (noise(12, 9) % 5).astype(dtype)
    expected = np.empty_like(image)
    for label in range(5):
        expected[labels == label] = np.rint(image[labels == label].astype(float).mean(axis=0))
    np.testing.assert_array_equal(mean_colours(image, labels), expected)


def test_mean_colours_of_single_pixels_are_the_image() -> None:
    image = noise(6, 7, 3)
    np.testing.assert_array_equal(mean_colours(image, np.arange(42).reshape(6, 7)), image)


def test_labels_may_have_gaps() -> None:
    image = noise(4, 4, 3)
    labels = np.zeros((4, 4), np.int32)
    labels[2:] = 2**31 - 1
    compact = (labels > 0).astype(np.int32)
    np.testing.assert_array_equal(mean_colours(image, labels), mean_colours(image, compact))


def test_a_large_bright_region_does_not_overflow() -> None:
    image = np.full((512, 512, 3), 255, np.uint8)
    assert (mean_colours(image, np.zeros((512, 512), np.int32)) == 255).all()


# The picture


@pytest.mark.parametrize("size", [(224, 224), (100, 160), (768, 500), (1000, 1200), (1, 7)])
def test_the_longer_side_is_large_enough_and_the_scale_whole(size: tuple[int, int]) -> None:
    height, width = size
    picture = overlay(noise(*size, 3), np.zeros(size, np.int32))
    scale, rest = divmod(picture.height, height)
    assert rest == 0 and picture.mode == "RGB"
    assert max(size) * scale >= PICTURE_SIDE
    assert scale == 1 or max(size) * (scale - 1) < PICTURE_SIDE
    assert 2 * width * scale < picture.width <= 2 * width * scale + 32


def test_a_scale_can_be_asked_for() -> None:
    assert overlay(noise(10, 20, 3), np.zeros((10, 20), np.int32), scale=3).height == 30


def test_one_region_has_no_borders() -> None:
    image = noise(8, 8, 3)
    left, right = halves(image, np.zeros((8, 8), np.int32), 1)
    np.testing.assert_array_equal(left, image)
    assert (right == right[0, 0]).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_border_is_one_bright_line_between_darkened_ones(axis: int, scale: int) -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    labels = np.zeros((8, 8), np.int32)
    labels[4:] = 1
    left, _ = halves(image, labels, scale)
    middle = 4 * scale
    if axis == 1:
        left, _ = halves(image, labels.T, scale)
        left = left.transpose(1, 0, 2)
    assert (left[middle] == left[middle, 0]).all() and left[middle, 0].min() > 200
    for row in (middle - 1, middle + 1):
        assert (left[row] < 80).all() and (left[row] > 20).all()
    rest = np.delete(left, [middle - 1, middle, middle + 1], axis=0)
    assert (rest == 100).all()


@pytest.mark.parametrize("level", [0, 40, 128, 255])
def test_borders_stand_out_on_every_brightness(level: int) -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:, 4:] = 1
    left, _ = halves(np.full((8, 8, 3), level, np.uint8), labels, 2)
    brightness = left.astype(int).sum(axis=2)
    assert brightness.max() - brightness.min() > 250


def test_the_right_half_is_the_mean_colours_enlarged() -> None:
    image, labels = noise(6, 5, 3), noise(6, 5) % 4
    _, right = halves(image, labels, 3)
    np.testing.assert_array_equal(
        right, np.kron(mean_colours(image, labels), np.ones((3, 3, 1), np.uint8))
    )


def test_the_arguments_are_left_alone() -> None:
    image, labels = noise(6, 5, 3), noise(6, 5) % 4
    before = image.copy(), labels.copy()
    for scale in (1, 2):
        overlay(image, labels, scale=scale)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_views_are_drawn_like_copies() -> None:
    image, labels = noise(3, 6, 5).transpose(1, 2, 0), (noise(5, 6) % 4).T
    copy = overlay(image.copy(), labels.copy(), scale=2)
    np.testing.assert_array_equal(np.array(overlay(image, labels, scale=2)), np.array(copy))


@pytest.mark.parametrize(
    ("image", "labels", "problem"),
    [
        (noise(4, 4, 3), np.zeros((4, 5), np.int32), "expected whole numbers of the image's size"),
        (noise(4, 4, 3), np.zeros((1, 4, 4), np.int32), "image's size"),
        (noise(4, 4, 3), np.zeros((4, 4), np.float32), "got labels of float32"),
        (noise(4, 4, 3), np.zeros((4, 4), np.bool_), "got labels of bool"),
        (noise(3, 4, 4), np.zeros((4, 4), np.int32), "expected an image"),
        (noise(4, 4), np.zeros((4, 4), np.int32), "expected an image"),
        (noise(0, 4, 3), np.zeros((0, 4), np.int32), "expected an image"),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.int32), "expected an image of uint8"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    image: Any, labels: NDArray[Any], problem: str
) -> None:
    for draw in (overlay, mean_colours):
        with pytest.raises(ImageError, match=problem):
            draw(image, labels)


@pytest.mark.parametrize("scale", [0, -2])
def test_a_scale_below_one_is_refused(scale: int) -> None:
    with pytest.raises(ImageError, match="scale of an overlay must be 1 or more"):
        overlay(noise(4, 4, 3), np.zeros((4, 4), np.int32), scale=scale)


# Saving


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.PNG", "PNG"),
        ("a.jpg", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.b.webp", "WEBP"),
    ],
)
def test_the_suffix_names_the_format(tmp_path: Path, name: str, kind: str) -> None:
    picture = Image.fromarray(noise(8, 8, 3))
    save_picture(picture, str(tmp_path / name))
    with Image.open(tmp_path / name) as saved:
        assert saved.format == kind and saved.size == (8, 8)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_png_is_exact_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "reader").hardlink_to(tmp_path / "a.png")
    save_picture(Image.fromarray(noise(8, 8, 3)), tmp_path / "a.png")
    assert (tmp_path / "reader").read_bytes() == b"old"
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), noise(8, 8, 3))


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.png.tmp", ".png"])
def test_unknown_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"suffix must be one of .*\.png"):
        save_picture(Image.fromarray(noise(8, 8, 3)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"there is no folder {tmp_path / 'missing'}"):
        save_picture(Image.fromarray(noise(8, 8, 3)), tmp_path / "missing" / "a.png")


def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for place in ("a.xyz", "missing/a.png", "folder.png"):
        with pytest.raises(ImageError, match="cannot write"):
            check_place(tmp_path / place)
    with pytest.raises(ImageError, match="the folder /proc/self may not be written"):
        check_place(Path("/proc/self/a.png"))
    check_place(tmp_path / "a.png")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "folder.png"]


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match=r"cannot write .*a\.png"):
        save_picture(Image.fromarray(noise(8, 8, 3)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(self: Image.Image, stream: Any, **options: Any) -> None:
        stream.write(b"half")
        raise error

    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises((ImageError, KeyboardInterrupt)):
        save_picture(Image.fromarray(noise(8, 8, 3)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
