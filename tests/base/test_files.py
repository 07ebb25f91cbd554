"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spit_edge.base import files
from spit_edge.base.drafts import draft_folder, is_draft
from spit_edge.base.errors import FileError
from spit_edge.base.files import check_writable, file_sha256, json_file, whole_file, write_whole


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    """One file after the other meets a full disk, on which it shows when the data goes out."""
    first, second = tmp_path / "a.engine", tmp_path / "a.json"
    write_whole({first: b"old", second: b"old"})
    real = os.fsync
    for full in (first, second):

        def fsync(number: int, full: Path = full) -> None:
            if full.name in os.readlink(f"/proc/self/fd/{number}"):
                raise OSError(errno.ENOSPC, "No space left on device")
            real(number)

        monkeypatch.setattr(files.os, "fsync", fsync)
        with pytest.raises(FileError, match=rf"no space left for .*{full.name}: free 100 kB"):
            write_whole({first: bytes(100_000), second: bytes(100_000)})
        assert sorted(tmp_path.iterdir()) == [first, second]
        assert first.read_bytes() == second.read_bytes() == b"old"


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that may not be written; root, who may, is somebody else meanwhile."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        if user == 0:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
        yield Path(folder)
        os.seteuid(user)


def test_a_folder_that_may_not_be_written(read_only) -> None:
    with pytest.raises(FileError, match=r"cannot write .*a\.engine: Permission denied"):
        write_whole({read_only / "a.engine": b"data"})
    assert list(read_only.iterdir()) == []


def test_a_file_in_the_way_and_an_interrupt(tmp_path, monkeypatch) -> None:
    (tmp_path / "engines").write_text("no folder")
    with pytest.raises(FileError, match="cannot write"):
        write_whole({tmp_path / "engines" / "a.engine": b"data"})

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole({tmp_path / "new" / "a.engine": b"data"})
    assert [path.name for path in tmp_path.iterdir()] == ["engines"]


def test_a_quota_is_a_full_disk(tmp_path, monkeypatch) -> None:
    def refuses(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(files.os, "fsync", refuses)
    with pytest.raises(FileError, match="no space left"):
        write_whole({tmp_path / "a.engine": b"data"})
    assert list(tmp_path.iterdir()) == []


def test_hash_and_size(tmp_path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"0123456789abcdef" * 100_000)
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file_sha256(file) == (expected, 1_600_000)
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "none")


def test_json_file() -> None:
    text = json_file({"b": math.nan, "a": [1, 2]})
    assert text.decode().splitlines()[1].strip() == '"b": null,' and text.endswith(b"}\n")
    assert json.loads(json_file({"b": 1, "a": 2}, sort_keys=True)) == {"a": 2, "b": 1}
    assert json_file({"b": 1, "a": 2}, sort_keys=True) == json_file(
        {"a": 2, "b": 1}, sort_keys=True
    )


# What stands at the path already


def write(path: Path, data: bytes = b"new") -> None:
    check_writable(path)
    with whole_file(path) as stream:
        stream.write(data)


def test_links_stay_and_lead_to_the_new_content(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"old")
    (tmp_path / "middle").symlink_to("real/a.png")
    (tmp_path / "latest.png").symlink_to("middle")
    write(tmp_path / "latest.png")
    assert (tmp_path / "latest.png").is_symlink() and (tmp_path / "middle").is_symlink()
    assert (tmp_path / "real" / "a.png").read_bytes() == b"new"
    (tmp_path / "next.png").symlink_to("real/b.png")
    write(tmp_path / "next.png")
    assert (tmp_path / "next.png").is_symlink()
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["a.png", "b.png"]


def test_links_in_a_circle(tmp_path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(FileError, match="cannot write"):
        check_writable(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"), whole_file(tmp_path / "a"):
        pytest.fail("the block was entered")


def test_a_pipe_gets_the_content(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 10) == b"new" and pipe.is_fifo()
    with pytest.raises(RuntimeError), whole_file(pipe) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert os.read(reader, 10) == b""  # nothing, and no writer: not a half
    os.close(reader)


def test_a_device_stays_one(tmp_path) -> None:
    write(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link").symlink_to("/dev/null")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and Path("/dev/null").is_char_device()


WRITE_TO = """
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from spit_edge.base.files import check_writable, whole_file
print("before")
check_writable(Path(sys.argv[1]))
with whole_file(Path(sys.argv[1])) as stream:
    stream.write(b"content\\n")
print("after")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_the_standard_output(tmp_path, name: str) -> None:
    """Whether it is a pipe or a file, all that is printed arrives, in order."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", WRITE_TO, name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"before\ncontent\nafter\n"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"before\ncontent\nafter\n"


def test_mode_and_owner_are_kept(tmp_path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"old")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 1234)
    old = file.stat()
    write(file)
    now = file.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
    assert now.st_ino != old.st_ino  # it was replaced, not written over


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is a folder: give the name of a file"),
        ("folder", "is a folder: give the name of a file"),
        ("missing/a.json", "a.json: there is no folder .*missing"),
        ("cut", "there is no folder .*gone"),
        ("file/a.json", "there is no folder .*file"),
    ],
)
def test_what_cannot_be_written_is_found_before(tmp_path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "cut").symlink_to("gone/a.json")
    with pytest.raises(FileError, match=words):
        check_writable(tmp_path / name)
    with pytest.raises(OSError), whole_file(tmp_path / name):
        pytest.fail("the block was entered")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "file", "folder"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_without_rights(tmp_path) -> None:
    """A file that may be written in a folder that may not is written in place."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(0o755)
    (tmp_path / "open.json").write_bytes(b"older and longer")
    (tmp_path / "open.json").chmod(0o666)
    (tmp_path / "shut.json").write_bytes(b"old")
    script = """
from pathlib import Path
from spit_edge.base.errors import FileError
from spit_edge.base.files import check_writable, whole_file
folder = Path(sys.argv[1])
check_writable(folder / "open.json")
with whole_file(folder / "open.json") as stream:
    stream.write(b"new")
for name in ("shut.json", "none.json"):
    try:
        check_writable(folder / name)
    except FileError as error:
        print(error)
"""
    importable = "import spit_edge.base.files, spit_edge.base.drafts\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{importable}import os, sys\nos.setuid(65534)\n{script}", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    protected, none = done.stdout.splitlines()
    words = "it is write-protected, so choose another name"
    assert protected == f"cannot write {tmp_path}/shut.json: {words}"
    assert none.endswith(f"the folder {tmp_path} may not be written")
    assert (tmp_path / "open.json").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["open.json", "shut.json"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
def test_a_mounted_file_is_written_in_place(tmp_path, monkeypatch, number: int) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"older and longer")
    inode = file.stat().st_ino

    def busy(self: Path, target: Path) -> None:
        raise OSError(number, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    write(file)
    assert file.read_bytes() == b"new" and file.stat().st_ino == inode
    assert list(tmp_path.iterdir()) == [file]

    def full(descriptor: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        write(file, b"much more than before")
    assert file.read_bytes() == b"new"


# Drafts


def test_what_the_dead_left_goes_and_what_the_living_write_stays(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "_cleaned", set())
    script = f"""
import os, signal
from pathlib import Path
from spit_edge.base.files import whole_file
with whole_file(Path({str(tmp_path)!r}) / "a.json") as stream:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (draft,) = tmp_path.iterdir()
    assert is_draft(draft.name)
    mine = tmp_path / ".a.json-0123abcd"  # a name like it is not one
    mine.touch()
    with whole_file(tmp_path / "b.json") as living:
        assert not draft.exists()
        living.write(b"b")
        files._cleaned.clear()
        write(tmp_path / "c.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [mine.name, "b.json", "c.json"]
    assert (tmp_path / "b.json").read_bytes() == b"b"


def test_draft_folders(tmp_path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from spit_edge.base.drafts import draft_folder
with draft_folder(Path({str(tmp_path)!r}), "build") as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (dead,) = tmp_path.iterdir()
    assert (dead / "deep" / "file").exists() and stat.S_IMODE(dead.stat().st_mode) == 0o700
    with draft_folder(tmp_path, "build-of-another") as other, draft_folder(tmp_path, "build"):
        assert not dead.exists()
        with draft_folder(tmp_path, "build-of-another"):
            assert other.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_names_can_be(tmp_path) -> None:
    write(tmp_path / ("ü" * 127))
    assert len(list(tmp_path.iterdir())) == 1
