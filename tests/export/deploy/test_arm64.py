"""The same deployment onto an arm64 machine under qemu; minutes, so ``make test-deploy-arm64``."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spit_edge.base.contracts import CONTRACTS
from spit_edge.export.__main__ import main
from spit_edge.export.deploy import steps
from spit_edge.export.deploy.package import write_sources
from spit_edge.plugins.plugin_build import PluginBuildError, find_build
from spit_edge.plugins.plugin_library import read_library
from spit_edge.runtime import Session
from spit_edge.runtime.parity.judge import tokens_sha256
from spit_edge.runtime.parity.self_check import read_check
from tests.conftest import MakeBundle
from tests.export.deploy.bundles import listed, variation, wrong_answers
from tests.export.deploy.test_interrupted import sent, start_words, wait_until
from tests.simulators import arm64_host, sshd

pytestmark = pytest.mark.slow
SERVICE = "/root/service"
OUTPUTS = """
import hashlib, json, platform, sys
from spit_edge.runtime import Session
from spit_edge.runtime.parity.self_check import read_check
from spit_edge.runtime.parity.judge import tokens_sha256
with Session.open(sys.argv[1], "onnxruntime") as session:
    told = {"machine": platform.machine()}
    for name, (image, _) in read_check(session.bundle).items():
        output = session.run(image, tokens=True)
        labels = hashlib.sha256(output.labels.tobytes()).hexdigest()
        told[name] = [labels, tokens_sha256(output.tokens[0], int(output.num_tokens[0]))]
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Machine:
    """The arm64 machine, and the service on it that the tests here share, in their order."""

    server: sshd.Server
    wheel: Path

    @property
    def place(self) -> Path:
        return arm64_host.HOST / SERVICE.lstrip("/")

    @property
    def current(self) -> str:
        return (self.place / "current").readlink().name

    def words(self, bundle: Path, *options: str, root: str = SERVICE) -> list[str]:
        """What follows ``python -m export``."""
        given = ["deploy", str(bundle), f"{sshd.HOST}:{root}", "--no-plugins"]
        wares = ["--wheel", str(self.wheel)]
        return [*given, *wares, "--ssh-config", str(self.server.config), *options]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if why := arm64_host.missing():
        pytest.skip(why)
    arm64_host.make()
    sources = write_sources(tmp_path_factory.mktemp("sources"))
    assert sources is not None
    wheel = arm64_host.compiled_wheel(sources)
    with arm64_host.running() as running:
        made = Machine(running, wheel)
        shutil.rmtree(made.place, ignore_errors=True)
        yield made


@pytest.fixture
def bundle(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    """The same for all tests, in a folder of one's own."""
    return Path(shutil.copytree(make_bundle(height=48, width=64).path, tmp_path / "bundle"))


def test_deploy_to_arm64(machine: Machine, bundle: Path, tmp_path, capsys) -> None:
    def deploy(folder: Path, *options: str) -> str:
        capsys.readouterr()
        assert main(machine.words(folder, *options)) == 0
        told = capsys.readouterr()
        return str(told.out + told.err)

    told = deploy(bundle)
    first = machine.current
    assert "aarch64" in told and told.count("equal   equal") == 3 and "p50" in told
    # Not only as the bundle says: as this machine computes them.
    assert on_device(f"{SERVICE}/current") == {"machine": "aarch64", **computed_here(bundle)}

    assert "nothing to send" in deploy(bundle)
    assert "sent 3 of" in deploy(variation(bundle, tmp_path / "other"))
    assert machine.current != first
    deploy(bundle, "--rollback")
    assert machine.current == first


def test_what_goes_wrong(machine: Machine, bundle: Path, tmp_path, capsys, monkeypatch) -> None:
    """Each with a clear sentence, and the version before still in use."""
    before = machine.current
    other = variation(bundle, tmp_path / "other")

    def refused(folder: Path, *options: str, code: int = 2, root: str = SERVICE) -> str:
        capsys.readouterr()
        assert main(machine.words(folder, *options, root=root)) == code
        assert machine.current == before
        return str(capsys.readouterr().err)

    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{machine.server.port} {sshd.make_key(tmp_path / 'stranger')}\n")
    config = sshd.write_config(tmp_path / "config", machine.server.client, UserKnownHostsFile=known)
    assert "host key" in refused(other, "--ssh-config", str(config))

    login = machine.server.login.read_text()
    machine.server.set_environment("/nowhere", Path("/root"))
    assert "there is no python3 on device" in refused(other)
    machine.server.login.write_text(login)

    assert "does not give the reference's results" in refused(
        wrong_answers(bundle, tmp_path / "wrong"), code=1
    )
    weights = other / "model.onnx.data"
    weights.write_bytes(b"x" + weights.read_bytes()[1:])
    assert "model.onnx.data does not have the SHA-256" in refused(other)

    small = arm64_host.HOST / "root" / "small"
    small.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        monkeypatch.setattr(steps, "check_needs", lambda *_, **__: None)
        assert "disk is full" in refused(bundle, root="/root/small/service")
    finally:
        # What received the files may take a moment to end.
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_killed_in_the_middle(machine: Machine, bundle: Path, tmp_path, capsys) -> None:
    before = machine.current
    other = variation(bundle, tmp_path / "other")
    listed(other, "parity.json", (other / "parity.json").read_bytes() + b"\n" * 8_000_000)
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "rsync").write_text(f'#!/bin/sh\nexec {shutil.which("rsync")} --bwlimit=1m "$@"\n')
    (slow / "rsync").chmod(0o755)
    deploying = start_words(machine.words(other), f"{slow}:")
    incoming = machine.place / "incoming"
    try:
        wait_until(lambda: sum(path.stat().st_size for path in incoming.iterdir()) > 2_000_000)
    finally:
        deploying.kill()
        deploying.communicate()
    assert machine.current == before
    arrived = sum(path.stat().st_size for path in incoming.iterdir())
    capsys.readouterr()
    assert main(machine.words(other)) == 0
    files, _, megabytes = sent(capsys.readouterr().err)
    assert files == 3 and megabytes < 8.1 - arrived / 1e6
    assert machine.current != before


def on_device(release: str) -> dict[str, object]:
    words = ["chroot", str(arm64_host.HOST), f"{release}/venv/bin/python"]
    done = subprocess.run(
        [*words, "-c", OUTPUTS, f"{release}/bundle"], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def computed_here(bundle: Path) -> dict[str, list[str]]:
    told = {}
    with Session.open(bundle, "onnxruntime") as session:
        for name, (image, _) in read_check(session.bundle).items():
            output = session.run(image, tokens=True)
            assert output.tokens is not None and output.labels.dtype == np.int32
            labels = hashlib.sha256(output.labels.tobytes()).hexdigest()
            told[name] = [labels, tokens_sha256(output.tokens[0], int(output.num_tokens[0]))]
    return told


def test_plugin_library_is_compiled_there(machine: Machine) -> None:
    """The variant without a GPU, from what the deployment above installed; it needs headers."""
    python = machine.place / "current" / "venv" / "bin" / "python"
    assert python.is_symlink(), "the deployment above has not come so far"
    try:
        here = find_build(variant="host")
    except PluginBuildError as error:
        pytest.skip(str(error))
    headers = arm64_host.HOST / "root" / "headers"
    shutil.rmtree(headers, ignore_errors=True)
    shutil.copytree(here.tensorrt, headers / "tensorrt")
    shutil.copytree(here.cuda, headers / "cuda" / "include")
    # The variant compiles no CUDA; that there is a compiler is all that is looked at.
    nvcc = headers / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.touch(0o755)
    wanted = ["--variant", "host", "--tensorrt-include", "/root/headers/tensorrt"]
    wanted += ["--cuda", "/root/headers/cuda", "--out", "/root/libspit_plugins.so"]
    program = f"{SERVICE}/current/venv/bin/python"
    words = ["chroot", str(arm64_host.HOST), program, "-m", "spit_edge.plugins", "build", *wanted]
    subprocess.run(words, check=True, cwd="/")
    built = read_library(arm64_host.HOST / "root" / "libspit_plugins.so")
    assert (built.machine, built.variant) == ("aarch64", "host")
    assert built.contracts == {contract.name: contract.version for contract in CONTRACTS}
