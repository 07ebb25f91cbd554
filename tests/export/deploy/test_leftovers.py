"""Temporary folders: where ssh's socket fits, and what killed runs leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spit_edge.export.__main__ import main
from spit_edge.export.deploy import remote
from spit_edge.export.deploy.errors import DeployError
from tests.export.deploy import ssh


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """TMPDIR, short enough, as this process and those that it starts see it."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as place:
        monkeypatch.setenv("TMPDIR", place)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(place)


@pytest.mark.parametrize("name", ["long" * 30, "a b", "100%", "${HOME}", 'a"b'])
def test_places_that_ssh_does_not_take(tmp_path: Path, monkeypatch, name: str) -> None:
    place, runtime = tmp_path / name, Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    try:
        assert remote._short_place() == runtime
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        assert remote._short_place() == Path("/tmp")
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(DeployError, match="set TMPDIR"):
            remote._short_place()
    finally:
        runtime.rmdir()


def test_the_socket_is_short_enough() -> None:
    longest = "/" + "x" * 47
    assert remote._PLACE.fullmatch(longest) and not remote._PLACE.fullmatch(longest + "x")
    added = f"/.{remote._DRAFT}-01234567.spit-draft/socket" + ".0123456789abcdef"
    assert len(longest + added) <= 103


def test_what_killed_runs_leave_goes_with_the_next(
    bundle: Path, tmp_path: Path, temporary: Path, monkeypatch
) -> None:
    ssh.stand_in(tmp_path, f"touch {tmp_path}/there; exec sleep 3600", monkeypatch)
    words = ["deploy", str(bundle), "me@jetson", *ssh.options(tmp_path)]
    deploying = subprocess.Popen(
        [sys.executable, "-m", "spit_edge.export", *words], stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "there").exists():
            assert deploying.poll() is None and time.monotonic() < end
            time.sleep(0.05)
    finally:
        deploying.send_signal(signal.SIGKILL)
        deploying.wait()
    left = {p.name for p in temporary.iterdir()}
    assert {name.split("-")[1] for name in left} == {"package", "ssh"}
    ssh.stand_in(tmp_path, "exit 3", monkeypatch)
    assert main(words) == 2
    assert not list(temporary.iterdir())
