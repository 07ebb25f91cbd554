"""Bundles: every kind of damage is found and named, and writing leaves a whole one or none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from spit_edge.runtime.bundle.folder import Bundle, hash_files, new_bundle
from spit_edge.runtime.bundle.manifest import (
    BatchProfile,
    FileEntry,
    Manifest,
    Preprocessing,
    TensorSpec,
    Tokenizer,
    Weights,
    encode,
)
from spit_edge.runtime.errors import BundleError

GRAPH = b"\x12\x05graph"  # a ModelProto that names its producer
NEW = b"\x12\x03new"
CONTENT = {
    "model.onnx": GRAPH,
    "trunk.onnx": b"\x12\x05trunk",
    "model.onnx.data": bytes(range(256)) * 8193,  # more than one chunk, not a whole number of them
    "check/astronaut.png": b"png",
    "check/expected.npz": b"npz",
    "parity.json": b"{}",
}


def manifest(files: dict[str, FileEntry]) -> Manifest:
    return Manifest(
        schema=1,
        model="spit_tiny",
        gradient=True,
        classes=10,
        precision="fp32",
        part="full",
        inputs=[TensorSpec(name="images", dtype="uint8", shape=["B", 3, 64, 96])],
        outputs=[TensorSpec(name="logits", dtype="float32", shape=["B", 10])],
        token_budget=64,
        batch=BatchProfile(min=1, opt=1, max=2),
        preprocessing=Preprocessing(
            height=64,
            width=96,
            pixels="uint8",
            layout="NCHW",
            resize="bicubic",
            fit="cover_center_crop",
        ),
        tokenizer=Tokenizer(
            kind="superpixel",
            levels=4,
            compactness=None,
            interpolation="bilinear",
            sigma=0.05,
            bins=16,
        ),
        weights=Weights(source="random", location="seed 0", sha256="0" * 64, seed=0),
        contracts={},
        versions={},
        files=files,
    )


def fill(folder: Path, content: dict[str, bytes] = CONTENT) -> None:
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "manifest.json").write_bytes(encode(manifest(hash_files(folder))))


def edit(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "spit"
    folder.mkdir()
    fill(folder)
    return folder


# Opening


def test_a_whole_bundle_opens(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert opened.path == bundle
    assert opened.manifest.model == "spit_tiny"
    assert opened.model.read_bytes() == GRAPH
    assert opened.expected.read_bytes() == b"npz"
    assert opened.parity.read_bytes() == b"{}"
    assert opened.check == bundle / "check"
    assert Bundle.open(str(bundle)) == opened


def test_an_opened_bundle_is_immutable(bundle: Path) -> None:
    with pytest.raises(AttributeError):
        Bundle.open(bundle).path = bundle  # type: ignore[misc]


def test_it_opens_through_a_link_to_the_folder(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bundle)
    Bundle.open(tmp_path / "current")


def test_it_opens_as_the_current_folder(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    Bundle.open(".")


def test_files_beside_the_listed_ones_are_fine(bundle: Path) -> None:
    (bundle / "engines").mkdir()
    (bundle / "engines" / "sm_87.engine").write_bytes(b"engine")
    Bundle.open(bundle)


@pytest.mark.parametrize("name", CONTENT)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert f"{bundle / name} is missing" in str(caught.value)


@pytest.mark.parametrize("name", CONTENT)
def test_a_cut_off_file_is_named(bundle: Path, name: str) -> None:
    data = CONTENT[name]
    (bundle / name).write_bytes(data[:-1])
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert f"{bundle / name} has {len(data) - 1} bytes instead of {len(data)}" in str(caught.value)


def test_a_file_that_grew_is_named(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(GRAPH + b"+")
    with pytest.raises(BundleError, match=r"model\.onnx has 8 bytes instead of 7"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("place", [0, -1])
def test_one_changed_bit_is_named(bundle: Path, name: str, place: int) -> None:
    data = bytearray(CONTENT[name])
    data[place] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert f"{bundle / name} does not have the SHA-256" in str(caught.value)


def test_a_folder_in_place_of_a_file_is_found(bundle: Path) -> None:
    (bundle / "parity.json").unlink()
    (bundle / "parity.json").mkdir()
    with pytest.raises(BundleError, match=r"parity\.json is not a regular file"):
        Bundle.open(bundle)


def test_a_file_that_cannot_be_read_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: str, *args: Any, **options: Any) -> int:
        if path == "parity.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match=r"cannot read .*parity\.json: Permission denied"):
        Bundle.open(bundle)


def test_without_verify_contents_are_not_looked_at(bundle: Path) -> None:
    (bundle / "model.onnx.data").unlink()
    (bundle / "model.onnx").write_bytes(b"other")
    assert Bundle.open(bundle, verify=False).manifest == Bundle.open(bundle, verify=False).manifest


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / "spit")
    assert str(caught.value) == f"there is no bundle {tmp_path / 'spit'}"


def test_a_missing_folder_with_random_weights_beside_it(bundle: Path) -> None:
    bundle.rename(bundle.with_name("spit-random"))
    with pytest.raises(BundleError, match=r"did you mean .*spit-random \(random weights\)\?"):
        Bundle.open(bundle)


def test_a_folder_without_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        Bundle.open(bundle)


def test_a_file_given_for_the_folder(bundle: Path) -> None:
    with pytest.raises(BundleError, match="is a file: give the folder"):
        Bundle.open(bundle / "model.onnx")


def test_a_manifest_that_is_a_folder(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    (bundle / "manifest.json").mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json is not a regular file"):
        Bundle.open(bundle)


def test_a_damaged_manifest_is_named(bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()
    (bundle / "manifest.json").write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert str(caught.value).startswith(f"{bundle / 'manifest.json'} is not a valid manifest")


def test_a_manifest_without_the_model(bundle: Path) -> None:
    edit(bundle, files={})
    for verify in (True, False):
        with pytest.raises(BundleError, match=r"lists no model\.onnx"):
            Bundle.open(bundle, verify=verify)


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "check/../../secret",
        "check/..",
        "..",
        ".",
        "./parity.json",
        "check//expected.npz",
        "check/",
        "/etc/hostname",
        "//host/share",
        "C:/secret",
        "C:secret",
        "check\\expected.npz",
        "..\\secret",
        "parity.json\0",
        "parity\n.json",
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_names_that_are_not_plain_are_refused(bundle: Path, name: str, verify: bool) -> None:
    secret = bundle.parent / "secret"
    secret.write_bytes(b"s")
    entry = {"sha256": hashlib.sha256(b"s").hexdigest(), "bytes": 1}
    files = json.loads((bundle / "manifest.json").read_bytes())["files"]
    edit(bundle, files=files | {name: entry})
    with pytest.raises(BundleError, match="not a plain relative path"):
        Bundle.open(bundle, verify=verify)


def test_an_empty_name_is_refused(bundle: Path) -> None:
    edit(bundle, files={"": {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(BundleError):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "name", ["names with spaces.txt", "größe.txt", "..data", "a..b", ".hidden"]
)
def test_unusual_plain_names_are_accepted(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"x")
    fill(bundle, {})
    assert name in Bundle.open(bundle).manifest.files


@pytest.mark.parametrize("name", ["parity.json", "check/expected.npz", "manifest.json"])
@pytest.mark.parametrize("inside", [True, False])
def test_links_are_refused_wherever_they_lead(bundle: Path, name: str, inside: bool) -> None:
    real = (bundle if inside else bundle.parent) / "real"
    (bundle / name).rename(real)
    (bundle / name).symlink_to(real)
    with pytest.raises(BundleError, match=rf"{name} is a link or is reached through one"):
        Bundle.open(bundle)


def test_a_linked_folder_is_refused(bundle: Path) -> None:
    (bundle / "check").rename(bundle.parent / "outside")
    (bundle / "check").symlink_to(bundle.parent / "outside", target_is_directory=True)
    with pytest.raises(
        BundleError, match=r"check/astronaut\.png is a link or is reached through one"
    ):
        Bundle.open(bundle)


def test_links_in_a_circle_are_refused(bundle: Path) -> None:
    (bundle / "parity.json").unlink()
    (bundle / "parity.json").symlink_to("parity.json")
    with pytest.raises(BundleError, match=r"parity\.json is a link"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx.data", "check/expected.npz"])
def test_special_files_are_refused_at_once(bundle: Path, name: str) -> None:
    """A FIFO would be waited for, and /dev/zero has no end."""
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(BundleError, match=rf"{name} is not a regular file"):
        Bundle.open(bundle)
    (bundle / name).unlink()
    (bundle / name).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=rf"{name} is a link"):
        Bundle.open(bundle)


def test_a_manifest_without_end_is_not_read(bundle: Path) -> None:
    with (bundle / "manifest.json").open("r+b") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(BundleError, match=r"manifest\.json has more than the \d+ bytes"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["plugins/libspit_plugins.so", "engines/a.engine"])
def test_a_manifest_that_lists_code_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir()
    (bundle / name).write_bytes(b"code")
    fill(bundle, {})
    with pytest.raises(BundleError, match=rf"lists {name}: a bundle is data"):
        Bundle.open(bundle)


# Hashing


def test_hashes_are_those_of_hashlib_in_sorted_order(bundle: Path) -> None:
    assert hash_files(bundle) == {
        name: FileEntry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        for name, data in CONTENT.items()
    }
    assert list(hash_files(bundle)) == sorted(CONTENT)


def test_only_the_own_manifest_is_left_out(bundle: Path) -> None:
    (bundle / "check" / "manifest.json").write_bytes(b"")
    assert hash_files(bundle)["check/manifest.json"].bytes == 0
    assert "manifest.json" not in hash_files(bundle)


def test_links_out_of_the_folder_are_not_hashed(bundle: Path) -> None:
    (bundle.parent / "outside").write_bytes(b"x")
    (bundle / "link").symlink_to(bundle.parent / "outside")
    with pytest.raises(BundleError, match="is a link"):
        hash_files(bundle)


def test_file_names_that_a_manifest_may_not_hold_are_refused(bundle: Path) -> None:
    (bundle / "back\\slash").write_bytes(b"x")
    with pytest.raises(BundleError, match="not a plain relative path"):
        hash_files(bundle)


# Writing


def test_a_new_bundle(tmp_path: Path) -> None:
    target = tmp_path / "spit"
    with new_bundle(target) as folder:
        assert folder.parent.parent == tmp_path and folder.parent.name.startswith(".")
        assert list(folder.iterdir()) == []
        fill(folder)
        assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["spit"]
    Bundle.open(target)


def test_parent_folders_are_made(tmp_path: Path) -> None:
    with new_bundle(tmp_path / "a" / "b" / "spit") as folder:
        fill(folder)
    Bundle.open(tmp_path / "a" / "b" / "spit")


def test_others_may_read_it_as_far_as_the_umask_lets_them(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with new_bundle(tmp_path / "spit") as folder:
        fill(folder)
    assert stat.S_IMODE((tmp_path / "spit").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_an_old_bundle_is_replaced_as_a_whole(bundle: Path) -> None:
    with new_bundle(bundle) as folder:
        fill(folder, {**CONTENT, "model.onnx": NEW, "check/new.png": b"png"})
        assert Bundle.open(bundle).model.read_bytes() == GRAPH
    assert Bundle.open(bundle).model.read_bytes() == NEW
    assert [p.name for p in bundle.parent.iterdir()] == ["spit"]


def test_a_bundle_behind_a_link_is_replaced_where_it_is(bundle: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle)
    with new_bundle(link) as folder:
        fill(folder, CONTENT | {"model.onnx": NEW})
    assert link.is_symlink()
    assert Bundle.open(bundle).model.read_bytes() == NEW


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "spit").mkdir()
    with new_bundle(tmp_path / "spit") as folder:
        fill(folder)
    Bundle.open(tmp_path / "spit")
    assert [p.name for p in tmp_path.iterdir()] == ["spit"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_write_leaves_the_old_bundle(
    bundle: Path, error: type[BaseException]
) -> None:
    before = tree(bundle)
    with pytest.raises(error), new_bundle(bundle) as folder:
        fill(folder, CONTENT | {"model.onnx": NEW})
        raise error
    assert tree(bundle) == before
    assert [p.name for p in bundle.parent.iterdir()] == ["spit"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_first_write_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), new_bundle(tmp_path / "spit") as folder:
        fill(folder)
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["manifest.json", "model.onnx"])
def test_an_unfinished_bundle_does_not_replace_the_old_one(bundle: Path, missing: str) -> None:
    before = tree(bundle)
    with pytest.raises(BundleError, match="were written"), new_bundle(bundle) as folder:
        fill(folder)
        (folder / missing).unlink()
    assert tree(bundle) == before


@pytest.mark.parametrize("name", ["notes.txt", "manifest.json", "model.onnx", ".hidden"])
def test_a_folder_of_something_else_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / name).write_bytes(b"mine")
    with pytest.raises(BundleError, match="is not a bundle"), new_bundle(tmp_path / "home"):
        pytest.fail("the block was entered")
    assert tree(tmp_path) == {f"home/{name}": b"mine"}


def test_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "spit").write_bytes(b"mine")
    with pytest.raises(BundleError, match="is a file"), new_bundle(tmp_path / "spit"):
        pytest.fail("the block was entered")
    assert tree(tmp_path) == {"spit": b"mine"}


def test_the_root_folder_is_refused() -> None:
    with pytest.raises(BundleError, match="is not a bundle"), new_bundle("/"):
        pytest.fail("the block was entered")


def test_what_was_put_there_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "spit"
    with pytest.raises(BundleError, match="is not a bundle"), new_bundle(target) as folder:
        fill(folder)
        target.mkdir()
        (target / "notes.txt").write_bytes(b"mine")
    assert tree(tmp_path) == {"spit/notes.txt": b"mine"}


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="cannot write to"), new_bundle(tmp_path / "file" / "x"):
        pytest.fail("the block was entered")


def test_a_copied_bundle_opens(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "copy")
    Bundle.open(tmp_path / "copy")
