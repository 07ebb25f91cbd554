"""The same deployment onto an arm64 machine under qemu; minutes, so ``make test-deploy-arm64``."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main
from export.deploy.sources import write_sources
from plugins.contracts import CONTRACTS
from plugins.plugin_build import PluginBuildError, find_build
from plugins.plugin_library import read_library
from runtime import Session
from runtime.check_data import read_check
from runtime.parity import tokens_sha256
from tests.conftest import MakeBundle
from tests.deploy import arm64_host, sshd
from tests.deploy.bundles import variation

pytestmark = pytest.mark.slow
SERVICE = "/root/service"
OUTPUTS = """
import hashlib, json, platform, sys
from runtime import Session
from runtime.check_data import read_check
from runtime.parity import tokens_sha256
with Session.open(sys.argv[1], "onnxruntime") as session:
    told = {"machine": platform.machine()}
    for name, (image, _) in read_check(session.bundle).items():
        output = session.run(image, tokens=True)
        labels = hashlib.sha256(output.labels.tobytes()).hexdigest()
        told[name] = [labels, tokens_sha256(output.tokens[0], int(output.num_tokens[0]))]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Server]:
    if why := arm64_host.missing():
        pytest.skip(why)
    shutil.rmtree(arm64_host.make() / SERVICE.lstrip("/"), ignore_errors=True)
    with arm64_host.running() as running:
        yield running


def test_deploy_to_arm64(
    server: sshd.Server, make_bundle: MakeBundle, tmp_path: Path, capsys
) -> None:
    bundle = make_bundle(height=48, width=64).path
    sources = write_sources(tmp_path)
    assert sources is not None
    wheel = arm64_host.compiled_wheel(sources)
    place = arm64_host.HOST / SERVICE.lstrip("/")

    def deploy(folder: Path, *options: str) -> str:
        capsys.readouterr()
        words = ["deploy", str(folder), f"{sshd.HOST}:{SERVICE}"]
        given = ["--ssh-config", str(server.config), "--wheel", str(wheel), *options]
        assert main([*words, *given]) == 0
        told = capsys.readouterr()
        return str(told.out + told.err)

    def current() -> str:
        return (place / "current").readlink().name

    told = deploy(bundle)
    first = current()
    assert "aarch64" in told and told.count("equal   equal") == 3 and "p50" in told
    # Not only as the bundle says: as this machine computes them.
    assert on_device(f"{SERVICE}/current") == {"machine": "aarch64", **computed_here(bundle)}

    assert "nothing to send" in deploy(bundle)
    assert "sent 3 of" in deploy(variation(bundle, tmp_path / "other"))
    second = current()
    assert second != first
    deploy(bundle, "--rollback")
    assert current() == first


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


def test_plugin_library_is_compiled_there(server: sshd.Server) -> None:
    """The variant without a GPU, from what the deployment above installed; it needs headers."""
    python = arm64_host.HOST / SERVICE.lstrip("/") / "current" / "venv" / "bin" / "python"
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
    words = ["chroot", str(arm64_host.HOST), program, "-m", "plugins", "build", *wanted]
    subprocess.run(words, check=True, cwd="/")
    built = read_library(arm64_host.HOST / "root" / "libspit_plugins.so")
    assert (built.machine, built.variant) == ("aarch64", "host")
    assert built.contracts == {contract.name: contract.version for contract in CONTRACTS}
