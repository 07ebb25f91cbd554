"""The answers of a bundle, which may be damaged, too large, or none."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from spit_edge.export.build import parity_passed
from spit_edge.runtime.bundle.folder import Bundle, hash_files
from spit_edge.runtime.errors import BundleError
from spit_edge.runtime.parity.judge import all_passed
from spit_edge.runtime.parity.self_check import read_check
from tests.conftest import MakeBundle

SIZE = 48, 64
MAGIC = b"\x93NUMPY\x01\x00"


@pytest.fixture
def folder(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    made = make_bundle(height=SIZE[0], width=SIZE[1])
    return Path(shutil.copytree(made.path, tmp_path / "bundle"))


def answers(folder: Path) -> dict[str, Any]:
    with np.load(folder / "check" / "expected.npz") as stored:
        return {name: stored[name] for name in stored.files}


def reopened(folder: Path) -> Bundle:
    """With hashes that are right."""
    manifest = Bundle.open(folder, verify=False).manifest
    return Bundle(folder, msgspec.structs.replace(manifest, files=hash_files(folder)))


def test_what_was_written_is_read(folder: Path) -> None:
    found, wanted = read_check(Bundle.open(folder)), answers(folder)
    assert list(found) == ["astronaut", "chelsea", "coffee"]
    for index, (image, expected) in enumerate(found.values()):
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
        assert np.array_equal(expected.labels, wanted["labels"][index])
        assert np.array_equal(expected.logits, wanted["logits"][index])
        assert expected.num_tokens == wanted["num_tokens"][index]
        assert expected.tokens_sha256 == wanted["tokens_sha256"][index]
        assert expected.precision_error == wanted["precision_error"][index]


BAD: dict[str, Any] = {
    "no images": {name: lambda a: a[:0] for name in (
        "names", "labels", "num_tokens", "tokens_sha256", "logits", "precision_error")},
    "logits of another length": {"logits": lambda a: a[:, :-1]},
    "fewer answers": {"logits": lambda a: a[:-1]},
    "labels of another size": {"labels": lambda a: a[:, 1:]},
    "labels of another type": {"labels": lambda a: a.astype(np.float32)},
    "a name twice": {"names": lambda a: a[[0, 0, 2]]},
    "names that are numbers": {"names": lambda a: np.arange(3)},
    "a single name": {"names": lambda a: a[0]},
    "objects": {"names": lambda a: a.astype(object)},
    "very long names": {"names": lambda a: a.astype("U2000")},
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_answers_that_cannot_be(folder: Path, case: str) -> None:
    stored = answers(folder)
    for name, change in BAD[case].items():
        stored[name] = change(stored[name])
    np.savez(folder / "check" / "expected.npz", **stored)
    with pytest.raises(BundleError, match=r"check/expected\.npz is not readable"):
        read_check(reopened(folder))


def test_cut_anywhere_and_damaged(folder: Path) -> None:
    place = folder / "check" / "expected.npz"
    data = place.read_bytes()
    for cut in range(0, len(data), len(data) // 40):
        place.write_bytes(data[:cut])
        with pytest.raises(BundleError, match=r"expected\.npz"):
            read_check(reopened(folder))
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for at in random.integers(0, len(data), 3):
            damaged[at] ^= 1 << random.integers(8)
        place.write_bytes(damaged)
        try:
            read_check(reopened(folder))
        except BundleError as error:
            assert "expected.npz" in str(error) or "check/" in str(error)


def test_a_bomb_is_not_inflated(folder: Path) -> None:
    """256 MB of zeros in 0.3 MB, behind a true header and behind one that promises them."""
    for shape in (f"(3, {SIZE[0]}, {SIZE[1]})", "(3, 20000, 20000)"):
        header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".encode()
        header += b" " * (117 - len(header)) + b"\n"
        with zipfile.ZipFile(folder / "check" / "expected.npz", "w", zipfile.ZIP_DEFLATED) as made:
            content = io.BytesIO()
            np.save(content, np.array(["astronaut", "chelsea", "coffee"]))
            made.writestr("names.npy", content.getvalue())
            with made.open("labels.npy", "w", force_zip64=True) as stream:
                stream.write(MAGIC + len(header).to_bytes(2, "little") + header)
                for _ in range(256):
                    stream.write(bytes(1 << 20))
        with pytest.raises(BundleError, match=r"labels has"):
            read_check(reopened(folder))


def test_files_that_the_manifest_does_not_list(folder: Path) -> None:
    whole = reopened(folder)
    for name in ("check/expected.npz", "check/chelsea.png"):
        files = {key: entry for key, entry in whole.manifest.files.items() if key != name}
        manifest = msgspec.structs.replace(whole.manifest, files=files)
        with pytest.raises(BundleError, match=f"lists no {name}"):
            read_check(Bundle(folder, manifest))


def test_an_image_of_another_size_and_one_that_is_none(folder: Path) -> None:
    Image.new("RGB", (10, 10)).save(folder / "check" / "coffee.png")
    with pytest.raises(BundleError, match=r"coffee\.png has 10 x 10 pixels instead of 48 x 64"):
        read_check(reopened(folder))
    (folder / "check" / "coffee.png").unlink()
    os.mkfifo(folder / "check" / "coffee.png")
    with pytest.raises(BundleError, match=r"coffee\.png is not a regular file"):
        Bundle.open(folder)


def test_nothing_compared_is_not_passed() -> None:
    assert not all_passed([]) and not parity_passed({}) and not parity_passed({"torch": []})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r - 1, "without gaps"),
        (lambda r: r + 1, "without gaps"),
        (lambda r: r * 2, "without gaps"),
        (lambda r: r[1:], "does not hold"),
        (lambda r: r.astype(np.int64), "has more than"),
        (lambda r: r.astype(object), "not readable|has more than"),
    ],
)
def test_regions_that_cannot_be(
    make_bundle: MakeBundle, tmp_path: Path, change: Any, words: str
) -> None:
    made = make_bundle(model="vit_s16", weights="random", height=SIZE[0], width=SIZE[1])
    folder = Path(shutil.copytree(made.path, tmp_path / "bundle"))
    assert Bundle.open(folder).read_regions().max() == 11
    np.save(folder / "regions.npy", change(np.load(folder / "regions.npy")))
    with pytest.raises(BundleError, match=words):
        reopened(folder).read_regions()
