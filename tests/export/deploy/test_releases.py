"""Releases on the device's disk: which is in use, the way back, whose folder it is."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from spit_edge.export.deploy.agent import environment, main, releases, use
from spit_edge.export.deploy.agent.protocol import Refused


class Killed(BaseException):
    """In place of SIGKILL."""


def add_release(root: Path, text: str) -> str:
    """As activate leaves it; its name."""
    files = {"bundle/manifest.json": text.encode(), "bundle/model.onnx": b"graph" + text.encode()}
    listed = {p: {"bytes": len(d), "sha256": sha256_of(d)} for p, d in files.items()}
    files[releases.CONTENTS] = json.dumps({"files": listed}).encode()
    name = sha256_of(files[releases.CONTENTS])[:16]
    with releases.locked(root):
        for data in files.values():
            (root / releases.OBJECTS / sha256_of(data)).write_bytes(data)
        releases.assemble(root, name, {path: sha256_of(data) for path, data in files.items()})
    return name


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service; environments and checks are not what is tried here."""
    monkeypatch.setattr(main, "die_with_connection", lambda: None)
    monkeypatch.setattr(main, "is_whole", lambda _: True)
    monkeypatch.setattr(main, "check", lambda *_: True)
    return tmp_path / "service"


def roll_back(root: Path) -> dict[str, Any]:
    return main._rollback(root, {"restart": None})


def links(root: Path) -> tuple[str, str | None]:
    """What a service sees."""
    previous = root / "previous"
    seen = (root / "current").resolve().name, previous.resolve().name if previous.exists() else None
    assert tuple(use.in_use(root)) == seen
    return seen


def test_there_and_back(root: Path) -> None:
    first, second = add_release(root, "1"), add_release(root, "2")
    use.switch(root, first)
    assert links(root) == (first, None)
    with pytest.raises(Refused, match="no earlier release"):
        roll_back(root)
    use.switch(root, second)
    use.switch(root, second)
    assert links(root) == (second, first)
    assert roll_back(root) == {"release": first, "passed": True}
    assert links(root) == (first, second)
    assert (root / "current" / "bundle" / "manifest.json").read_bytes() == b"1"
    assert len(list((root / "states").iterdir())) == 1
    assert releases.clean(root, keep=1) == []


@pytest.mark.parametrize("older", [False, True])
def test_killed_at_any_step(root: Path, monkeypatch, older: bool) -> None:
    """Both links are as before or as they shall be; the next way back does what it says."""
    first, second = add_release(root, "1"), add_release(root, "2")

    def begin() -> None:
        for name in ("state", "current", "previous"):
            (root / name).unlink(missing_ok=True)
        if older:
            (root / "current").symlink_to(Path("releases") / second)
            (root / "previous").symlink_to(Path("releases") / first)
        else:
            use.switch(root, first)
            use.switch(root, second)

    seen, steps = set(), 0
    for step in range(1, 100):
        begin()
        assert links(root) == (second, first)
        left = step

        def count(real: Any) -> Any:
            def call(*given: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed
                return real(*given, **named)

            return call

        with monkeypatch.context() as patch:
            for name in ("replace", "sync", "symlink", "mkdir", "unlink", "utime"):
                patch.setattr(os, name, count(getattr(os, name)))
            try:
                roll_back(root)
                break
            except Killed:
                steps += 1
        before = links(root)
        seen.add(before)
        assert roll_back(root)["release"] == links(root)[0] == before[1]
        assert set(links(root)) == {first, second}
    assert steps > 5 and seen == {(second, first), (first, second)}


def test_links_that_an_older_version_left_alike(root: Path) -> None:
    first, second = add_release(root, "1"), add_release(root, "2")
    for name in ("current", "previous"):
        (root / name).symlink_to(Path("releases") / first)
    with pytest.raises(Refused, match="no earlier release"):
        roll_back(root)
    use.switch(root, second)
    assert links(root) == (second, first)


@pytest.mark.parametrize("path", ["bundle/model.onnx", "bundle/manifest.json", "package.json"])
def test_no_way_back_to_what_is_damaged(root: Path, path: str) -> None:
    first, second = add_release(root, "1"), add_release(root, "2")
    use.switch(root, first)
    use.switch(root, second)
    place = root / "releases" / first / path
    data = place.read_bytes()
    place.write_bytes(b"x" + data[1:])
    with pytest.raises(Refused, match=f"{first} is damaged on the device .{path}."):
        roll_back(root)
    place.write_bytes(data)
    (root / "objects" / sha256_of(data)).unlink()
    place.unlink()
    with pytest.raises(Refused, match=f"{first} is damaged on the device .{path}."):
        roll_back(root)
    assert links(root) == (second, first)


def test_a_missing_file_is_linked_again(root: Path) -> None:
    first, second = add_release(root, "1"), add_release(root, "2")
    use.switch(root, first)
    use.switch(root, second)
    (root / "releases" / first / "bundle" / "model.onnx").unlink()
    assert roll_back(root)["release"] == first
    assert (root / "current" / "bundle" / "model.onnx").read_bytes() == b"graph1"


@pytest.mark.parametrize("remembered", [False, True])
def test_no_way_back_to_what_fails_its_check(root: Path, monkeypatch, remembered: bool) -> None:
    first, second = add_release(root, "1"), add_release(root, "2")
    use.switch(root, first)
    use.switch(root, second)
    if remembered:
        made = {"venv": {"key": "0"}, "plugin": None, "engine": None, "backend": "onnxruntime"}
        releases.remember(root / "releases" / first, made)
        monkeypatch.setattr(main, "make_venv", lambda root, *_: root / "venvs" / "0")
    monkeypatch.setattr(main, "check", lambda *_: False)
    assert roll_back(root) == {"release": first, "passed": False}
    assert links(root) == (second, first)
    monkeypatch.setattr(main, "check", lambda *_: True)
    assert roll_back(root)["passed"] and links(root) == (first, second)
    assert (root / "releases" / first / "venv").is_symlink() == remembered


def test_a_folder_that_others_may_write(root: Path) -> None:
    add_release(root, "1")
    (root / "venvs" / "0").mkdir()
    for place in (root, root / "venvs", root / "venvs" / "0", root / "objects"):
        for mode in (0o775, 0o757, 0o777):
            place.chmod(mode)
            with pytest.raises(Refused, match=f"{place} .* written by others.*chmod -R go-w"):
                add_release(root, "2")
        place.chmod(0o755)
    add_release(root, "2")


def test_a_folder_of_another_user(root: Path, monkeypatch) -> None:
    add_release(root, "1")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Refused, match=f"{root} on the device belongs to .*chown -R user 12345"):
        add_release(root, "2")
    with pytest.raises(Refused, match="belongs to"):
        roll_back(root)


def test_a_link_out_of_the_folder(root: Path, tmp_path: Path) -> None:
    add_release(root, "1")
    (root / "venvs").rmdir()
    (root / "venvs").symlink_to(tmp_path)
    with pytest.raises(Refused, match="venvs on the device is not a folder"):
        add_release(root, "2")


def test_environments_are_looked_at(root: Path, tmp_path: Path, monkeypatch) -> None:
    """A real one, with a package in it, in place of what pip installs."""
    made = []

    def install(venv: Path, *_: object) -> None:
        made.append(venv)
        (place,) = venv.glob("lib/python3*/site-packages")
        (place / "spit_edge").mkdir()
        (place / "spit_edge" / "__init__.py").write_text("")
        info = place / "spit_edge-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spit-edge\nVersion: 1.0\n")
        empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
        (info / "RECORD").write_text(f"spit_edge/__init__.py,sha256={empty},0\n")

    monkeypatch.setattr(environment, "pip", install)
    wanted = {
        "key": "0123",
        "possible": True,
        "file": "x",
        "extras": "",
        "requires": [],
        "what": "",
    }

    def make() -> Path:
        with releases.locked(root):
            assert environment.has_venv(root, "0123") == bool(made)
            return environment.make_venv(root, tmp_path, wanted)

    venv = make()
    assert make() == venv and len(made) == 1
    (module,) = venv.glob("lib/python3*/site-packages/spit_edge/__init__.py")
    module.write_text("damaged")
    second = make()
    assert second != venv and make() == second and len(made) == 2
    (second / "bin" / "python").unlink()
    third = make()
    assert third not in (venv, second) and len(made) == 3
    (third / environment._READY).write_text("")  # as older versions left it
    assert make() == third
    (info,) = third.glob("lib/python3*/site-packages/spit_edge-1.0.dist-info")
    (info / "METADATA").unlink()
    assert make() != third and len(made) == 4
