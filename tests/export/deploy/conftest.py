"""A device on loopback: an ssh server whose commands see a Python and little else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from spit_edge.export.__main__ import main
from tests.conftest import MakeBundle
from tests.export.deploy.wheels import HOUSE, installed_wheel, runtime_wheel
from tests.simulators import sshd


@dataclass
class Device:
    """The server, and a folder that plays the device's disk.

    wares  options by which pip needs no network
    """

    server: sshd.Server
    disk: Path
    wares: Sequence[str]

    @property
    def tools(self) -> Path:
        return self.disk.parent / "bin"

    @property
    def home(self) -> Path:
        return self.disk.parent / "home"

    def reset(self) -> None:
        """Commands see this Python and rsync."""
        real = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        for name, program in (("python3", str(real)), ("rsync", shutil.which("rsync"))):
            (self.tools / name).unlink(missing_ok=True)
            if program is not None:
                (self.tools / name).symlink_to(program)
        self.server.set_environment(str(self.tools), self.home)

    def release(self) -> str:
        """The current one, after it has passed its check without us."""
        python = self.current / "venv" / "bin" / "python"
        words = [python, "-m", "spit_edge.runtime", "check", self.current / "bundle"]
        done = subprocess.run(words, cwd="/", capture_output=True, text=True, env={}, check=False)
        assert done.returncode == 0 and done.stdout.count("pass") == 3, done.stderr
        return self.current.resolve().name

    @property
    def root(self) -> Path:
        return self.disk / "service"

    @property
    def current(self) -> Path:
        return self.root / "current"

    def deploy(self, bundle: Path, *options: str, root: Path | None = None) -> int:
        """``python -m export deploy`` to this device."""
        return main(self.command(bundle, *options, root=root))

    def command(self, bundle: Path, *options: str, root: Path | None = None) -> list[str]:
        """What follows ``python -m export``."""
        place = f"{sshd.HOST}:{root or self.root}"
        config = ["--ssh-config", str(self.server.config)]
        return ["deploy", str(bundle), place, *config, *self.wares, *options]


@pytest.fixture(scope="session")
def wares(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheels")
    house = folder / "house"
    house.mkdir()
    for package in HOUSE:
        installed_wheel(package, house)
    return ["--no-plugins", "--wheel", str(runtime_wheel(folder)), "--wheelhouse", str(house)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    if why := sshd.missing():
        pytest.skip(why)
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def make_device(server: sshd.Server, wares: Sequence[str], folder: Path) -> Device:
    """A device with an empty disk, in ``folder``."""
    made = Device(server, folder / "disk", wares)
    for place in (made.disk, made.tools, made.home):
        place.mkdir()
    made.reset()
    return made


@pytest.fixture
def device(server: sshd.Server, wares: list[str], tmp_path: Path) -> Device:
    """A fresh one."""
    return make_device(server, wares, tmp_path)


@pytest.fixture
def bundle(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    """One of one's own, small."""
    return Path(shutil.copytree(make_bundle(height=48, width=64).path, tmp_path / "bundle"))
