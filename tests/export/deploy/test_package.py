"""What travels: everything that must, nothing else, and the same bytes for the same inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from spit_edge.export.__main__ import main
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.package import make_package, write_sources
from spit_edge.runtime.bundle.folder import Bundle


def pack(bundle: Path, out: Path, *options: str) -> bytes:
    assert main(["pack", str(bundle), "--out", str(out), "--no-plugins", *options]) == 0
    return out.read_bytes()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Packing does not look into it."""
    path = tmp_path / "spit_edge-0.1.0-cp312-cp312-linux_aarch64.whl"
    path.write_bytes(b"wheel")
    return path


def test_same_inputs_same_bytes(bundle: Path, wheel: Path, tmp_path, monkeypatch) -> None:
    first = pack(bundle, tmp_path / "1.tar", "--wheel", str(wheel))
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    for number, path in enumerate(copy.rglob("*")):
        os.utime(path, (number, number))
        path.chmod(0o700)
    assert pack(copy, tmp_path / "2.tar", "--wheel", str(wheel)) == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert pack(bundle, tmp_path / "3.tar", "--wheel", str(wheel)) != first


def test_everything_is_accounted_for(bundle: Path, wheel: Path, tmp_path) -> None:
    (bundle / "engines").mkdir()
    (bundle / "engines" / "of-this-machine.engine").touch()
    pack(bundle, tmp_path / "p.tar", "--wheel", str(wheel))
    with tarfile.open(tmp_path / "p.tar") as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in archive} == {(0, 0, 0, 0o644)}
    listed = json.loads(found.pop("package.json"))["files"]
    assert {n: hashlib.sha256(data).hexdigest() for n, data in found.items()} == {
        name: entry["sha256"] for name, entry in listed.items()
    }
    assert "bundle/model.onnx" in listed and f"runtime/{wheel.name}" in listed
    assert not any("engine" in name for name in listed)


def test_sources_are_complete_and_reproducible(tmp_path) -> None:
    places = [tmp_path / "1", tmp_path / "2"]
    for place in places:
        place.mkdir()
    first, second = (write_sources(place) for place in places)
    assert first is not None and second is not None
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "CMakeLists.txt", "PKG-INFO",
                   "plugins/kernels/executors/launch.cu",
                   "plugins/tensorrt/CMakeLists.txt", "runtime/data/imagenet1k.txt"):  # fmt: skip
        assert needed in names
    assert not any(name.endswith((".so", ".pyc")) for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_what_is_refused(bundle: Path, make_bundle, tmp_path) -> None:
    opened = Bundle.open(bundle)
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "numpy-2.0-cp312-cp312-linux_aarch64.whl"
    other.touch()
    for wanted, why in (
        ({"wheels": [other]}, "not a wheel of spit-edge"),
        ({"wheelhouse": empty}, "no wheels in"),
        ({"plugins": [bundle / "model.onnx"]}, "not a plugin library"),
    ):
        with pytest.raises(DeployError, match=why), make_package(opened, **wanted):
            pass
    trunk = Bundle.open(make_bundle(height=48, width=64, part="trunk").path)
    with pytest.raises(DeployError, match="trunk alone"), make_package(trunk):
        pass
