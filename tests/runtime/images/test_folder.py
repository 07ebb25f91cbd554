"""Folders of pictures: all that can be read, by content and name; the others named and counted."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.images import ImageFolder, find_images


def picture(path: Path, value: int = 9, kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (5, 4), (value,) * 3).save(path, format=kind)
    return path


def read(folder: ImageFolder) -> tuple[dict[str, np.ndarray], list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = dict(folder)
    return found, [str(one.message) for one in told]


def test_files_are_found_whatever_their_ending_and_sorted(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "Z.tiff", "notes", "sub/x.jfif", "sub/deep/y", ".hidden/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert names == ["Z.tiff", "a.PNG", "b.jpg", "notes", "sub/deep/y", "sub/x.jfif"]
    assert find_images(str(tmp_path)) == find_images(tmp_path)


def test_only_folders_are_searched(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for place in (tmp_path / "a.png", tmp_path / "missing"):
        with pytest.raises(ImageError, match=f"there is no folder {place}"):
            find_images(place)


def test_every_picture_is_read_and_every_other_file_named_and_counted(tmp_path: Path) -> None:
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "d.jp2": "JPEG2000", "e.tga": "TGA", "f": "PNG"}
    if features.check("avif"):
        kinds["c.avif"] = "AVIF"
    for name, kind in kinds.items():
        picture(tmp_path / name, kind=kind)
    picture(tmp_path / "sub" / "a.jfif", 77, "PNG")
    whole = picture(tmp_path / "w.jpg").read_bytes()
    (tmp_path / "damaged.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "gone.png").symlink_to("nowhere")
    folder = ImageFolder(tmp_path)
    found, told = read(folder)
    assert sorted(found) == sorted([*kinds, "sub/a.jfif", "w.jpg"])
    assert (found["sub/a.jfif"] == 77).all()
    left_out = ["damaged.jpg", "gone.png", "notes.txt", "pipe.png", "zero.png"]
    assert sorted(folder.left_out) == left_out
    assert all(any(name in line for line in told) for name in left_out)
    assert told[-1].startswith(f"5 of {len(folder)} files in {tmp_path} were left out")
    assert read(folder)[0].keys() == found.keys() and sorted(folder.left_out) == left_out
    assert {image.shape for _, image in folder.fitted(3, 2)} == {(3, 2, 3)}


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there are no images in"):
        ImageFolder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"nothing")
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"none of the 2 files in .* is a picture: .*a\.png"):
        read(ImageFolder(tmp_path))


def test_names_that_are_not_utf8_and_control_characters(tmp_path: Path) -> None:
    picture(tmp_path / os.fsdecode(b"\xff.png"))
    picture(tmp_path / "a\x1b[2J.png")
    (tmp_path / "b\x1b[2J.png").touch()
    found, told = read(ImageFolder(tmp_path))
    assert list(found) == ["a\\x1b[2J.png", "\\udcff.png"]
    assert all(line.isprintable() for line in told) and "b\\x1b[2J.png" in told[0]
