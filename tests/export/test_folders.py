"""``validate``, its report and ``bisect`` on a folder: what is read is judged, all else named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from spit_edge.export.__main__ import main

GOOD = ["a.png", "c[copy].jfif", "sub/e.tga"]
BAD = ["b.jpg", "notes.txt", "pipe"]


@pytest.fixture(scope="module")
def bundle(make_bundle) -> str:
    return str(make_bundle(height=40, width=56, precision="fp16").path)


@pytest.fixture
def folder(photographs, tmp_path) -> Path:
    place = tmp_path / "pictures"
    (place / "sub").mkdir(parents=True)
    for name, image in zip(GOOD, photographs(40, 56), strict=True):
        kind = "JPEG" if name.endswith("jfif") else None
        Image.fromarray(image).save(place / name, format=kind)
    (place / "b.jpg").write_bytes((place / "c[copy].jfif").read_bytes()[:600])
    (place / "notes.txt").write_text("no picture")
    os.mkfifo(place / "pipe")
    return place


def told(errors: str) -> bool:
    return all(name in errors for name in BAD) and "3 of 6 files" in errors


def test_validate(bundle, folder, capsys) -> None:
    assert main(["validate", bundle, "--images", str(folder)]) == 0
    said = capsys.readouterr()
    assert all(name in said.out for name in GOOD) and said.out.count("pass") == len(GOOD)
    assert told(said.err)


def test_the_report(bundle, folder, tmp_path, capsys) -> None:
    out = tmp_path / "report.html"
    assert main(["validate", bundle, "--images", str(folder), "--report", str(out)]) == 0
    said = capsys.readouterr()
    assert all(name in said.out for name in GOOD) and told(said.err)
    images = json.loads(out.with_suffix(".json").read_bytes())["images"]
    assert [image["name"] for image in images] == GOOD


def test_bisect(bundle, folder, tmp_path, capsys) -> None:
    words = ["bisect", bundle, "--images", str(folder), "--out", str(tmp_path / "plan.json")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "no matrix product has to change" in said.out and told(said.err)


@pytest.mark.parametrize("command", ["validate", "bisect"])
def test_nothing_readable_is_an_error(bundle, tmp_path, capsys, command) -> None:
    assert main([command, bundle, "--images", str(tmp_path)]) == 2
    assert "there are no images in" in capsys.readouterr().err
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main([command, bundle, "--images", str(tmp_path)]) == 2
    assert "none of the 1 files in" in capsys.readouterr().err
