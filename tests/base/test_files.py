"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spit_edge.base import files
from spit_edge.base.errors import FileError
from spit_edge.base.files import file_sha256, json_file, write_whole


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
