"""A deployment that ends in the middle: what has arrived is kept, and nothing runs on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spit_edge.export.deploy.reporter import PersonalReporter
from tests.export.deploy.bundles import variation
from tests.export.deploy.conftest import Device

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


def wait_until(met: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


def running_on(device: Device) -> list[int]:
    """Processes whose command line or folder is the device's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode()
            if str(device.root) in words or os.readlink(process / "cwd") == str(device.home):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def start(device: Device, bundle: Path, path: str = "") -> subprocess.Popen[str]:
    return start_words(device.command(bundle), path)


def start_words(words: list[str], path: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "PATH": f"{path}{os.environ['PATH']}"}
    words = [sys.executable, "-m", "export", *words]
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def sent(told: str) -> tuple[int, int, float]:
    """Files sent, files in all, megabytes."""
    found = re.search(r"sent (\d+) of (\d+) files, ([\d.]+) (bytes|kB|MB)", told)
    assert found, told
    unit = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0}[found[4]]
    return int(found[1]), int(found[2]), float(found[3]) * unit


@pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync: apt-get install rsync")
def test_killed_while_sending_with_rsync(device: Device, bundle: Path, tmp_path, capsys) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "rsync").write_text(f'#!/bin/sh\nexec {shutil.which("rsync")} --bwlimit=8m "$@"\n')
    (slow / "rsync").chmod(0o755)
    deploying = start(device, bundle, f"{slow}:")
    incoming = device.root / "incoming"

    def some() -> bool:
        return incoming.is_dir() and sum(p.stat().st_size for p in incoming.iterdir()) > 6_000_000

    try:
        wait_until(some)
    finally:
        deploying.kill()
        deploying.communicate()
    # rsync here lives on without its parent until its connection ends, which it soon does.
    wait_until(lambda: not running_on(device))
    assert not device.current.exists()
    arrived = sum(path.stat().st_size for path in incoming.iterdir())
    assert device.deploy(bundle) == 0
    _, _, megabytes = sent(capsys.readouterr().err)
    packed = sum(path.stat().st_size for path in (device.root / "objects").iterdir())
    assert megabytes == pytest.approx((packed - arrived) / 1e6, abs=0.51)  # told are 3 digits
    device.release()


def test_interrupted_while_sending_with_tar(device: Device, bundle, capsys, monkeypatch) -> None:
    """The file that was under way goes on where it stopped."""
    (device.tools / "rsync").unlink(missing_ok=True)
    plain = PersonalReporter.sent

    def stop_at(reporter: PersonalReporter, done: int) -> None:
        plain(reporter, done)
        if done > 20_000_000:
            raise KeyboardInterrupt

    monkeypatch.setattr(PersonalReporter, "sent", stop_at)
    assert device.deploy(bundle) == 130
    capsys.readouterr()
    monkeypatch.undo()
    wait_until(lambda: not running_on(device))
    arrived = sum(path.stat().st_size for path in (device.root / "incoming").iterdir())
    assert arrived > 10_000_000
    assert device.deploy(bundle) == 0
    told = capsys.readouterr()
    _, _, megabytes = sent(told.err)
    packed = sum(path.stat().st_size for path in (device.root / "objects").iterdir())
    assert megabytes == pytest.approx((packed - arrived) / 1e6, abs=0.51)  # told are 3 digits
    device.release()


def test_interrupted_while_installing(device: Device, bundle: Path, tmp_path, capsys) -> None:
    """Ctrl-C ends pip on the device, too, which here would wait for ever."""
    endless = tmp_path / "fifo"
    os.mkfifo(endless)
    before = f"export PIP_CONSTRAINT={endless}"
    device.server.set_environment(str(device.tools), device.home, before)
    deploying = start(device, bundle)
    try:
        wait_until(lambda: any((device.root / "venvs").glob("*/bin/pip")))
        time.sleep(3)
        assert running_on(device)
        deploying.send_signal(signal.SIGINT)
        _, told = deploying.communicate(timeout=60)
        assert deploying.returncode == 130 and told.splitlines()[-1] == "interrupted"
        wait_until(lambda: not running_on(device), seconds=10)
    finally:
        deploying.kill()
        for process in running_on(device):
            os.kill(process, signal.SIGKILL)
    assert not device.current.exists()
    device.reset()
    assert device.deploy(bundle) == 0
    assert "nothing to send" in capsys.readouterr().err
    first = device.release()

    # With a version in use, which is killed while it is replaced: it stays.
    deploying = start(device, variation(bundle, tmp_path / "other"))
    try:
        wait_until(lambda: len(list((device.root / "releases").iterdir())) == 2)
    finally:
        deploying.kill()
        deploying.communicate()
    wait_until(lambda: not running_on(device), seconds=30)
    assert device.release() == first


def test_interrupted_fleet(device: Device, bundle: Path, tmp_path) -> None:
    """Ctrl-C ends it on all devices, though their work is in threads."""
    endless = tmp_path / "fifo"
    os.mkfifo(endless)
    before = f"export PIP_CONSTRAINT={endless}"
    device.server.set_environment(str(device.tools), device.home, before)
    places = [device.root / name for name in ("device-a", "device-b")]
    listed = "".join(f'[[device]]\nhost = "{at.name}"\ndir = "{at}"\n' for at in places)
    (tmp_path / "devices.toml").write_text(listed)
    given = ["fleet", str(tmp_path / "devices.toml"), *device.command(bundle)[1:]]
    del given[3]  # the one device of the command line
    deploying = start_words(given)
    try:
        wait_until(lambda: all(any((at / "venvs").glob("*/bin/pip")) for at in places))
        deploying.send_signal(signal.SIGINT)
        _, told = deploying.communicate(timeout=30)
        assert deploying.returncode == 130 and told.splitlines()[-1] == "interrupted"
        wait_until(lambda: not running_on(device), seconds=10)
    finally:
        deploying.kill()
        for process in running_on(device):
            os.kill(process, signal.SIGKILL)
