"""A bundle takes its place in one step, nothing of the user is lost, and the dead leave nothing."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from spit_edge.base.drafts import is_draft
from spit_edge.runtime.bundle import Bundle, new_bundle, placing
from spit_edge.runtime.errors import BundleError
from tests.runtime.bundle.test_bundle import CONTENT as WHOLE
from tests.runtime.bundle.test_bundle import GRAPH, NEW, fill, tree

CONTENT = WHOLE | {"model.onnx.data": b"weights"}
OWN = {
    "notes.txt": b"mine",
    "check/mine.png": b"mine",
    "results/2026/run.json": b"mine",
    "engines/orin.engine": b"took an hour",
    "plugins/libspit_plugins.so": b"built here",
    "regions.npy": b"not listed, so mine",
}
REBUILT = CONTENT | {"model.onnx": NEW, "check/more.png": b"png"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A bundle with files of a user, an empty folder and a link."""
    return furnish(tmp_path / "home" / "spit")


def furnish(place: Path) -> Path:
    place.mkdir(parents=True)
    fill(place, CONTENT)
    for name, data in OWN.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    (place / "empty").mkdir()
    (place / "elsewhere").symlink_to("/nowhere")
    return place


def own(place: Path) -> dict[str, bytes]:
    assert (place / "empty").is_dir() and os.readlink(place / "elsewhere") == "/nowhere"
    return {name: (place / name).read_bytes() for name in OWN}


def rebuild(place: Path) -> None:
    with new_bundle(place) as folder:
        fill(folder, REBUILT)


def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the place is a mount point, or somebody's current folder."""
    monkeypatch.setattr(placing, "_stays", lambda place: place.is_dir())


def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a lower layer of an overlay file system."""

    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(placing, "_exchange", refuse)


def exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is on Linux."""


WAYS = pytest.mark.parametrize("way", [exchanged, refused, inside])
Way = Callable[[pytest.MonkeyPatch], None]


@WAYS
def test_what_the_manifest_does_not_list_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    way(monkeypatch)
    rebuild(place)
    assert Bundle.open(place).model.read_bytes() == NEW
    assert own(place) == OWN
    assert {*tree(place)} == {*OWN, *REBUILT, "manifest.json"}
    assert [path.name for path in place.parent.iterdir()] == ["spit"]


@WAYS
def test_what_is_no_longer_listed_goes(
    place: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    way(monkeypatch)
    fewer = {name: data for name, data in CONTENT.items() if not name.startswith("check")}
    with new_bundle(place) as folder:
        fill(folder, fewer)
    assert {*tree(place)} == {*OWN, *fewer, "manifest.json"} and own(place) == OWN


@WAYS
def test_a_file_of_the_user_steps_aside_with_a_warning(
    place: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    way(monkeypatch)
    with pytest.warns(UserWarning, match=r"regions\.npy\.kept"), new_bundle(place) as folder:
        fill(folder, {**REBUILT, "regions.npy": b"new", "notes.txt": b"new"})
    Bundle.open(place)
    assert (place / "regions.npy").read_bytes() == b"new"
    assert (place / "regions.npy.kept").read_bytes() == OWN["regions.npy"]
    assert (place / "notes.txt.kept").read_bytes() == OWN["notes.txt"]


@WAYS
def test_a_bundle_within_a_bundle_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    with new_bundle(place / "check" / "inner") as folder:
        fill(folder)
    way(monkeypatch)
    rebuild(place)
    Bundle.open(place / "check" / "inner")
    rebuild(place / "check" / "inner")
    assert own(place) == OWN
    Bundle.open(place)


def test_what_lies_behind_links_is_not_touched(place: Path, tmp_path: Path) -> None:
    """A manifest may list what a link leads to: the link is the user's, and so is the rest."""
    outside = tmp_path / "outside"
    (place / "check").rename(outside)
    (place / "check").symlink_to(outside)
    before = tree(outside)
    with pytest.warns(UserWarning, match=r"check\.kept"):
        rebuild(place)
    assert tree(outside) == before and (place / "check.kept").resolve() == outside
    Bundle.open(place)


@pytest.mark.parametrize("manifest", [b'{"name": "my web app"}', b"{", b"", b"\xff"])
def test_a_folder_with_the_names_of_a_bundle_is_not_one(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest)
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "app.js").write_bytes(b"precious")
    before = tree(tmp_path)
    with pytest.raises(BundleError, match="is not a bundle"), new_bundle(tmp_path):
        pytest.fail("the block was entered")
    assert tree(tmp_path) == before


def test_mode_of_the_folder_and_current_folders_stay(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.chmod(0o750)
    rebuild(place)
    assert place.stat().st_mode & 0o777 == 0o750
    monkeypatch.chdir(place / "check")
    number = place.stat().st_ino
    rebuild(Path(".."))
    assert place.stat().st_ino == number and Path("more.png").read_bytes() == b"png"


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    rebuild(Path("~/spit"))
    Bundle.open(tmp_path / "spit")


def test_a_full_disk_is_called_one(place: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(BundleError, match=f"no space left for {place}"), new_bundle(place):
            raise OSError(number, os.strerror(number))
    with pytest.raises(BundleError, match="problem writing element 5"), new_bundle(place):
        raise OSError("problem writing element 5 to file")
    assert own(place) == OWN


# Killed writers


def killed(write: Callable[[], object], at: int) -> bool:
    """``write`` in a process that is killed before its ``at``-th change; False if that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork, beside threads
        child = os.fork()
    if not child:
        try:
            changes = 0

            def counted(real: Callable[..., object]) -> Callable[..., object]:
                def call(*words: object, **more: object) -> object:
                    nonlocal changes
                    changes += 1
                    if changes == at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*words, **more)

                return call

            for name in ("rename", "replace", "unlink", "rmdir", "mkdir", "remove"):
                setattr(os, name, counted(getattr(os, name)))
            placing._exchange = counted(placing._exchange)  # type: ignore[assignment]
            warnings.simplefilter("ignore")
            write()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@WAYS
def test_killed_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    way(monkeypatch)
    moments = 0
    for at in range(1, 500):
        place = furnish(tmp_path / f"{at}" / "spit")
        if not killed(lambda place=place: rebuild(place), at):  # type: ignore[misc]
            break
        moments += 1
        if way is exchanged:  # there is a whole bundle before anybody does anything
            with monkeypatch.context() as patched:
                patched.setattr("spit_edge.runtime.bundle.folder.recover", lambda place: None)
                assert Bundle.open(place).model.read_bytes() in (GRAPH, NEW)
        assert Bundle.open(place).model.read_bytes() in (GRAPH, NEW), f"killed at {at}"
        assert own(place) == OWN, f"killed at {at}"
        assert not [p for p in place.parent.rglob("*") if is_draft(p.name)], f"killed at {at}"
        rebuild(place)
        assert {*tree(place)} == {*OWN, *REBUILT, "manifest.json"} and own(place) == OWN
        assert [path.name for path in place.parent.iterdir()] == ["spit"]
    assert moments > 10


@pytest.mark.parametrize("there", [False, True])
def test_a_first_build_that_is_killed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        inside(monkeypatch)
    for at in range(1, 100):
        place = tmp_path / f"{at}" / "spit"
        (place if there else place.parent).mkdir(parents=True)
        if not killed(lambda place=place: rebuild(place), at):  # type: ignore[misc]
            break
        rebuild(place)
        assert {*tree(place)} == {*REBUILT, "manifest.json"}
        assert [path.name for path in place.parent.iterdir()] == ["spit"]
    assert at > 3


def test_what_the_living_write_is_left_alone(place: Path) -> None:
    """Two builds at the same time, into the same place and beside it."""
    beside = place.with_name("spit2")
    with new_bundle(place) as first:
        fill(first, REBUILT | {"first": b""})
        with new_bundle(place) as second, new_bundle(beside) as third:
            fill(second, REBUILT | {"second": b""})
            fill(third, CONTENT)
            Bundle.open(place)
            rebuild(place)
            assert (first / "first").exists() and (second / "second").exists()
        assert Bundle.open(place).manifest.files.keys() >= {"second"} and own(place) == OWN
    assert Bundle.open(place).manifest.files.keys() >= {"first"} and own(place) == OWN
    Bundle.open(beside)
    assert {*tree(place)} == {*OWN, *REBUILT, "first", "manifest.json"}
    assert sorted(path.name for path in place.parent.iterdir()) == ["spit", "spit2"]


@WAYS
def test_many_at_once(place: Path, monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    way(monkeypatch)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(5):
                rebuild(place)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and own(place) == OWN
    Bundle.open(place)
    assert [path.name for path in place.parent.iterdir()] == ["spit"]


LIVING = """
import sys, time
from spit_edge.runtime.bundle import new_bundle
with new_bundle(sys.argv[1]) as folder:
    (folder / "model.onnx").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_another_process_is_known_to_live_and_to_be_dead(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, str(place)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "writing\n"
        rebuild(place)
        (draft,) = [path for path in place.parent.iterdir() if is_draft(path.name)]
        assert (draft / "new" / "model.onnx").read_bytes() == b"half"
        other.kill()
    deadline = time.monotonic() + 10
    while draft.exists() and time.monotonic() < deadline:
        Bundle.open(place)
    assert not draft.exists()


# Real mounts


MOUNTED = """
set -e
cd "$1"
mkdir lower upper work merged plain
cp -a spit lower/spit
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged || exit 77
"$2" -c "$3" merged/spit
mount --bind plain plain
"$2" -c "$3" plain
"$2" -c "$3" plain
mkdir disk; mount -t tmpfs tmpfs disk
"$2" -c "$3" disk
mkdir disk/mine; mount -t tmpfs tmpfs disk/mine
if "$2" -c "$3" disk; then exit 5; fi
"""
WRITE = """
import sys
from pathlib import Path
from tests.runtime.bundle.test_placing import OWN, own, rebuild
from spit_edge.runtime.bundle import Bundle
place = Path(sys.argv[1])
had = (place / "notes.txt").exists()
rebuild(place)
Bundle.open(place)
assert not had or own(place) == OWN
assert not [p for p in (*place.iterdir(), *place.parent.iterdir()) if "spit-draft" in p.name]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_mount_points_and_overlays(place: Path) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", MOUNTED, "bash", place.parent, sys.executable, WRITE],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "is a mount point within the bundle" in done.stderr
