"""An arm64 machine for tests: Debian under qemu-user, with its own ssh server on loopback.

``python -m tests.simulators.arm64_host`` makes the file system, once, in
``build/arm64-host``.  Needs root, and debootstrap and qemu-user-static.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.simulators import sshd

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "build" / "arm64-host"
WHEELS = ROOT / "build" / "arm64-wheels"
SUITE = "bookworm"
PACKAGES = (
    "ca-certificates", "openssh-server", "rsync", "python3", "python3-venv", "python3-dev",
    "python3-numpy", "g++", "make", "cmake", "ninja-build",
)  # fmt: skip
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


def missing() -> str | None:
    """Why there can be no such machine here."""
    if os.getuid() != 0:
        return "only root may make an arm64 host"
    for program in ("debootstrap", "qemu-aarch64-static"):
        if shutil.which(program) is None:
            return "no arm64 host: apt-get install debootstrap qemu-user-static"
    return sshd.missing()


def make() -> Path:
    """The file system's folder, made unless it is there."""
    _teach_kernel()
    if not HOST.exists():
        part = HOST.with_name(f"{HOST.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(exist_ok=True)
        chosen = f"--include={','.join(PACKAGES)}"
        words = ["debootstrap", "--arch=arm64", "--variant=minbase", chosen, SUITE, str(part)]
        subprocess.run(words, check=True, stdout=sys.stderr)
        shutil.rmtree(part / "var/cache/apt/archives")
        part.rename(HOST)
    # As on any machine that reaches the network from here.
    for name in ("etc/resolv.conf", _CERTIFICATES):
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, HOST / name)
    return HOST


@contextmanager
def running() -> Iterator[sshd.Server]:
    """The machine's own ssh server; its files are in a folder that both sides see."""
    place = make()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spit-arm64-")))
        inside = place / folder.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        stack.callback(inside.rmdir)
        for source, target in ((Path("/proc"), place / "proc"), (folder, inside)):
            subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
            # Whatever still runs there must not keep the folder.
            stack.callback(subprocess.run, ["umount", "--lazy", str(target)], check=True)
        (place / "run/sshd").mkdir(parents=True, exist_ok=True)
        command = ["chroot", str(place), "/usr/sbin/sshd"]
        server = stack.enter_context(sshd.running(folder, command))
        certificates = f"export PIP_CERT=/{_CERTIFICATES}"
        server.set_environment("/usr/bin:/bin", Path("/root"), before=certificates)
        yield server


def compiled_wheel(sources: Path) -> Path:
    """The wheel that the machine compiles of a source distribution; once for each."""
    key = hashlib.sha256(sources.read_bytes()).hexdigest()[:16]
    folder = WHEELS / key
    if not folder.exists():
        place = make()
        work = place / "root" / key
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copy(sources, work)
        pip = f"-m pip --cert /{_CERTIFICATES} wheel --quiet --no-deps --wheel-dir out"
        script = f"cd /root/{key} && python3 -m venv v && v/bin/python {pip} {sources.name}"
        subprocess.run(["chroot", str(place), "/bin/sh", "-c", script], check=True)
        WHEELS.mkdir(exist_ok=True)
        shutil.move(work / "out", folder)
        shutil.rmtree(work)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _teach_kernel() -> None:
    """Let it run arm64 programs, in any folder."""
    if not (_BINFMT / "register").exists():
        words = ["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)]
        subprocess.run(words, check=True)
    if not (_BINFMT / "qemu-aarch64").exists():
        (_BINFMT / "register").write_bytes(_RULE.read_bytes().strip())


if __name__ == "__main__":
    print(make())
