"""A bundle goes to a device on loopback: sent, installed, checked, switched to, taken back."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.export.deploy.bundles import variation
from tests.export.deploy.conftest import Device
from tests.export.deploy.wheels import ROOT


def sent(
    device: Device, bundle: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[str, str]:
    """Deploy; the release's name, and what was told."""
    assert device.deploy(bundle, *options) == 0
    printed = capsys.readouterr()
    return printed.out.splitlines()[-1], printed.out + printed.err


def test_first_again_other_and_back(device: Device, bundle: Path, tmp_path, capsys) -> None:
    previous = device.root / "previous"
    first, told = sent(device, bundle, capsys)
    assert device.release() == first and not previous.exists()
    # The device compared labels and tokens to the bit, and says so.
    assert told.count("equal   equal") == 3
    assert "ms per image" in told and "p99" in told
    assert "no engine and no plugin library" in told
    python = device.current / "venv" / "bin" / "python"
    absent = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('onnx'))"
    said = subprocess.run([python, "-c", absent], cwd="/", capture_output=True, text=True, env={})
    assert said.stdout.split() == ["None", "None"]

    again, told = sent(device, bundle, capsys)
    assert again == device.release() == first and not previous.exists()
    assert "nothing to send" in told and "installing" not in told

    heard = tmp_path / "heard"
    (device.tools / "systemctl").write_text(f'#!/bin/sh\necho "$XDG_RUNTIME_DIR" "$@" >> {heard}\n')
    (device.tools / "systemctl").chmod(0o755)
    other = variation(bundle, tmp_path / "other")
    second, told = sent(device, other, capsys, "--restart", "spit-edge@door")
    assert second == device.release() != first
    assert f"/run/user/{os.getuid()} --user try-restart -- spit-edge@door\n" == heard.read_text()
    # parity.json, manifest.json and package.json.
    assert "sent 3 of" in told and "installing" not in told
    assert previous.resolve().name == first

    assert device.deploy(bundle, "--rollback", "--restart", "spit-edge@door") == 0
    assert device.release() == first and previous.resolve().name == second
    assert len(heard.read_text().splitlines()) == 2


@pytest.mark.slow
def test_old_releases_go(device: Device, bundle: Path, tmp_path, capsys) -> None:
    names = [sent(device, bundle, capsys)[0]]
    for number in range(3):
        bundle = variation(bundle, tmp_path / str(number))
        assert device.deploy(bundle, "--keep", "2") == 0
        names.append(capsys.readouterr().out.splitlines()[-1])
    assert len(set(names)) == 4
    kept = {path.name for path in (device.root / "releases").iterdir()}
    assert kept == set(names[-2:])
    # Each object is still part of a release, and the environment is still there.
    assert all(path.stat().st_nlink > 1 for path in (device.root / "objects").iterdir())
    assert device.release() == names[-1]


@pytest.mark.slow
def test_without_rsync(device: Device, bundle: Path, capsys) -> None:
    (device.tools / "rsync").unlink(missing_ok=True)
    first, told = sent(device, bundle, capsys)
    assert device.release() == first and "sent" in told
    assert "nothing to send" in sent(device, bundle, capsys)[1]


@pytest.mark.slow
def test_a_damaged_file_on_the_device_is_sent_again(device: Device, bundle: Path, capsys) -> None:
    first, _ = sent(device, bundle, capsys)
    model = device.current / "bundle" / "model.onnx"
    data = model.read_bytes()
    model.write_bytes(b"x" + data[1:])
    again, told = sent(device, bundle, capsys)
    assert "sent 1 of" in told and again == first
    assert device.release() == first and model.read_bytes() == data


@pytest.mark.slow
def test_sources_are_compiled_there(device: Device, bundle: Path, capsys) -> None:
    """Without a wheel; takes a compiler, and what pip gets from its index."""
    device.server.set_environment(f"{device.tools}:/usr/bin:/bin", device.home)
    plain = replace(device, wares=["--no-plugins"])
    first, told = sent(plain, bundle, capsys)
    assert "compiling and installing the runtime" in told
    assert device.release() == first
    # What was installed is all of it: sources of the plugin library, templates, units.
    (installed,) = (device.current / "venv").resolve().glob("lib/python3*/site-packages")
    for folder in ("export", "plugins", "runtime", "spit_edge", "spit_ref"):
        listed = ["git", "ls-files", "-z", folder]
        files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
        for name in files.decode().strip("\0").split("\0"):
            place = installed / name if folder == "spit_edge" else installed / "spit_edge" / name
            if (ROOT / name).exists():
                assert place.read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.slow
def test_through_a_jump_host(device: Device, bundle: Path, tmp_path, capsys) -> None:
    """The same server stands for both."""
    config = device.server.config
    jump = "Host jump\n" + config.read_text().partition("\n")[2]
    (tmp_path / "config").write_text(jump + config.read_text() + "    ProxyJump jump\n")
    log = config.parent / "log"
    before = log.read_text().count("Accepted publickey")
    assert device.deploy(bundle, "--ssh-config", str(tmp_path / "config")) == 0
    # One connection, which all calls share, and the one that it goes through.
    assert log.read_text().count("Accepted publickey") == before + 2
    assert device.release() == capsys.readouterr().out.splitlines()[-1]


@pytest.mark.slow
def test_validated_before_it_goes(device: Device, bundle: Path, tmp_path, capsys) -> None:
    _, told = sent(device, bundle, capsys, "--validate")
    # Once here, once there.
    assert told.count("equal   equal") == 6
