"""What goes wrong on the way: one clear sentence, the right exit code, and the version before."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spit_edge.export.deploy import remote, steps
from spit_edge.export.deploy.agent.releases import MARK
from spit_edge.runtime.backends.records import RECORDS
from tests.conftest import MakeBundle
from tests.export.deploy.bundles import variation, wrong_answers
from tests.export.deploy.conftest import Device, make_device
from tests.simulators import sshd

pytestmark = pytest.mark.slow

Told = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def deployed(
    server: sshd.Server,
    wares: list[str],
    make_bundle: MakeBundle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Device:
    """One with a working version, for all tests of this file."""
    device = make_device(server, wares, tmp_path_factory.mktemp("device"))
    assert device.deploy(make_bundle(height=48, width=64).path) == 0
    return device


@pytest.fixture
def device(deployed: Device) -> Iterator[Device]:
    """Whatever a test does, the version before must be in use and pass its check."""
    deployed.reset()
    before = deployed.current.resolve().name
    yield deployed
    deployed.reset()
    assert deployed.release() == before


@pytest.fixture
def other(bundle: Path, tmp_path: Path) -> Path:
    """A version that is not there."""
    return variation(bundle, tmp_path / "other")


def refused(
    device: Device,
    bundle: Path,
    capsys: Told,
    *options: str,
    code: int = 2,
    root: Path | None = None,
) -> str:
    """The one sentence, and what it quotes."""
    capsys.readouterr()
    assert device.deploy(bundle, *options, root=root) == code
    text = capsys.readouterr().err
    mark = "error: " if code == 2 else "failed: "
    _, found, said = text.partition(f"\n{mark}" if "\n" + mark in text else mark)
    assert found and "Traceback" not in text, text
    return said


def client(device: Device, place: Path, **changed: object) -> tuple[str, str]:
    """Options by which ssh has another configuration."""
    return "--ssh-config", str(sshd.write_config(place, device.server.client, **changed))


def test_wrong_host_key(device: Device, other: Path, tmp_path, capsys) -> None:
    known = tmp_path / "known"
    stranger = sshd.make_key(tmp_path / "stranger")
    known.write_text(f"[127.0.0.1]:{device.server.port} {stranger}\n")
    options = client(device, tmp_path / "config", UserKnownHostsFile=known)
    assert "host key" in refused(device, other, capsys, *options)


def test_unknown_key(device: Device, other: Path, tmp_path, capsys) -> None:
    sshd.make_key(tmp_path / "mine")
    options = client(device, tmp_path / "config", IdentityFile=tmp_path / "mine")
    assert "does not let you in" in refused(device, other, capsys, *options)


def test_nobody_listens(device: Device, other: Path, tmp_path, capsys) -> None:
    options = client(device, tmp_path / "config", Port=1)
    assert "cannot be reached" in refused(device, other, capsys, *options)


def test_no_such_host(device: Device, other: Path, tmp_path, capsys) -> None:
    options = client(device, tmp_path / "config", HostName="no-such-host.invalid")
    assert "there is no host" in refused(device, other, capsys, *options)


def test_no_python(device: Device, other: Path, capsys) -> None:
    (device.tools / "python3").unlink()
    assert "there is no python3 on device" in refused(device, other, capsys)


def test_old_python(device: Device, other: Path, capsys) -> None:
    python = device.tools / "python3"
    real = os.readlink(python)
    python.unlink()
    older = "import sys, platform; sys.version_info = (3, 8, 10); platform.python_version = "
    python.write_text(f"#!/bin/sh\nexec {real} -c \"{older}lambda: '3.8.10'\n$2\"\n")
    python.chmod(0o755)
    assert "3.8.10: at least 3.10 is needed" in refused(device, other, capsys)


def test_words_at_login_do_no_harm(device: Device, other: Path, capsys) -> None:
    """Lines, events that are none, and words without an end; rsync does not bear them."""
    words = "echo '{}'; echo '[1]'; echo welcome; printf 'you have mail: '"
    device.server.set_environment(str(device.tools), device.home, before=words)
    assert device.deploy(other) == 0
    told = "rsync does not bear what the login on the device prints: tar is used instead"
    assert (told in capsys.readouterr().err) == bool(shutil.which("rsync"))
    assert device.deploy(other, "--rollback") == 0


def test_damage_there_is_no_way_back(device: Device, other: Path, capsys) -> None:
    """Of files it is refused; an environment is made anew."""
    assert device.deploy(other) == 0
    environment = (device.root / "previous" / "venv").resolve()
    (environment / "bin" / "python").unlink()
    assert device.deploy(other, "--rollback") == 0
    assert "making the Python environment" in capsys.readouterr().err
    assert (device.current / "venv").resolve() != environment
    # The other one is the previous one now.
    place = device.root / "previous" / "bundle" / "parity.json"
    place.write_bytes(place.read_bytes()[:-1] + b" ")
    assert "is damaged on the device" in refused(device, other, capsys, "--rollback")
    assert device.deploy(other) == 0
    assert device.deploy(other, "--rollback") == 0


def test_damaged_bundle(device: Device, other: Path, capsys) -> None:
    weights = other / "model.onnx.data"
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    said = refused(device, other, capsys)
    assert "model.onnx.data does not have the SHA-256" in said


def test_random_weights(device: Device, other: Path, capsys) -> None:
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["weights"]["source"] = "random"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert "--allow-random-weights" in refused(device, other, capsys)
    assert device.deploy(other, "--allow-random-weights") == 0
    assert device.deploy(other, "--rollback") == 0


def test_check_fails(device: Device, bundle: Path, tmp_path, capsys) -> None:
    wrong = wrong_answers(bundle, tmp_path / "wrong")
    before = device.current.resolve().name
    said = refused(device, wrong, capsys, code=1)
    assert "does not give the reference's results" in said and f"{before} stays in use" in said


def test_other_environment_for_the_release_in_use(
    device: Device, bundle: Path, capsys, monkeypatch
) -> None:
    """The same release again, with other packages: while they are tried, it keeps its own."""
    assert device.deploy(bundle) == 0
    before = (device.current / "venv").resolve()
    plan, request = steps.make_plan, steps._request

    def other_plan(*given: object) -> object:
        return replace(plan(*given), requires=("pip",))  # type: ignore[arg-type]

    def other_request(*given: object) -> object:
        return request(*given) | {"backend": "no-such"}  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "make_plan", other_plan)
    monkeypatch.setattr(steps, "_request", other_request)
    assert "there is no backend" in refused(device, bundle, capsys)
    assert (device.current / "venv").resolve() == before
    assert len(list((device.root / "venvs").iterdir())) == 2
    monkeypatch.undo()
    assert device.deploy(bundle) == 0
    assert [path.resolve() for path in (device.root / "venvs").iterdir()] == [before]


def test_client_that_is_not_heard_of(device: Device, other: Path, capsys, monkeypatch) -> None:
    """A network that is gone sends nothing, not even an end: the device stops by itself."""
    real = remote._sources

    def impatient() -> list[tuple[str, str]]:
        return [(name, text.replace("PATIENCE = 60", "PATIENCE = 1")) for name, text in real()]

    monkeypatch.setattr(remote, "_sources", impatient)
    monkeypatch.setattr(remote, "BEAT_SECONDS", 3600)
    assert "the connection to device broke" in refused(device, other, capsys)
    monkeypatch.setattr(remote, "BEAT_SECONDS", 0.2)
    assert device.deploy(other) == 0
    assert device.deploy(other, "--rollback") == 0


def test_rsync_that_is_too_old(device: Device, other: Path, tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "rsync"
    old.write_text("#!/bin/sh\necho 'rsync: --info: unknown option' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    assert device.deploy(other) == 0
    assert "tar is used instead" in capsys.readouterr().err
    assert device.deploy(other, "--rollback") == 0


def test_old_files_that_cannot_be_removed(device: Device, other: Path, capsys) -> None:
    """That undoes nothing; root may remove everything but a place where something is mounted."""
    stuck = device.root / "venvs" / "stuck"
    stuck.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(stuck)]
    if os.getuid() != 0 or subprocess.run(mounted, check=False).returncode != 0:
        pytest.skip("only root may mount")
    try:
        assert device.deploy(other) == 0
        assert "old files stay there" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", str(stuck)], check=True)
    assert device.deploy(other, "--rollback") == 0


def test_file_that_changes_on_the_way(device: Device, other: Path, capsys, monkeypatch) -> None:
    """With either transport, the device notices that it did not get what was announced."""
    real = steps.send

    def spoiled(*given: object, **named: object) -> int:
        (other / "parity.json").write_bytes((other / "parity.json").read_bytes()[:-1] + b" ")
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "send", spoiled)
    content = (other / "parity.json").read_bytes()
    assert "arrived with another SHA-256" in refused(device, other, capsys)
    (other / "parity.json").write_bytes(content)
    (device.tools / "rsync").unlink()
    assert "arrived with another SHA-256" in refused(device, other, capsys)


def test_disk_that_is_too_small(device: Device, other: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("spit_edge.export.deploy.needs.RESERVE", 1 << 60)
    assert "free some space" in refused(device, other, capsys)


def test_memory_that_is_too_small(device: Device, other: Path, capsys, monkeypatch) -> None:
    record = RECORDS["onnxruntime"]
    hungry = replace(record, appetite=replace(record.appetite, process=1 << 60))
    monkeypatch.setitem(RECORDS, "onnxruntime", hungry)
    assert "of memory free but" in refused(device, other, capsys)


def test_no_engine_to_be_had(device: Device, other: Path, capsys) -> None:
    assert "lack of a GPU" in refused(device, other, capsys, "--engine-now")


def test_service_that_does_not_restart(device: Device, other: Path, capsys) -> None:
    said = refused(device, other, capsys, "--restart", "spit-edge@door")
    assert "spit-edge@door is not restarted: the device has no systemctl" in said
    systemctl = device.tools / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    systemctl.chmod(0o755)
    said = refused(device, other, capsys, "--rollback", "--restart", "spit-edge@door")
    systemctl.unlink()
    assert "though the release is switched: Failed to connect to bus" in said


def test_two_at_a_time(device: Device, other: Path, capsys) -> None:
    with (device.root / MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        assert "another deployment is at work" in refused(device, other, capsys)


def test_folder_of_somebody_else(device: Device, other: Path, capsys) -> None:
    foreign = device.disk / "photos"
    foreign.mkdir(exist_ok=True)
    (foreign / "cat.jpg").touch()
    assert "holds something else" in refused(device, other, capsys, root=foreign)
    assert [path.name for path in foreign.iterdir()] == ["cat.jpg"]


def test_nothing_to_go_back_to(device: Device, other: Path, capsys) -> None:
    assert "there is no" in refused(device, other, capsys, "--rollback", "--name", "none")


@pytest.mark.parametrize(
    "rsync, megabytes", [(True, 4), (False, 4), (True, None)], ids=["rsync", "tar", "pip"]
)
def test_disk_that_fills_up(
    device: Device, bundle: Path, capsys, monkeypatch, rsync: bool, megabytes: int | None
) -> None:
    """A file system of its own, really full: while files come, or while pip unpacks them."""
    monkeypatch.setattr(steps, "check_needs", lambda *_, **__: None)
    if not rsync:
        (device.tools / "rsync").unlink()
    house = Path(device.wares[-1])
    room = megabytes or 10 + sum(path.stat().st_size for path in house.iterdir()) // 1_000_000
    small = device.disk / "small"
    small.mkdir(exist_ok=True)
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={room}m", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mounted, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        said = refused(device, bundle, capsys, root=small / "service")
        assert "disk is full" in said
        assert not (small / "service" / "current").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)
