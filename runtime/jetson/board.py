"""The Jetson that this is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spit_edge.base.sizes import size_text
from spit_edge.runtime.jetson.clocks import Clock, parse_clocks, power_mode, read_clocks
from spit_edge.runtime.jetson.software import (
    cuda_version,
    installed_packages,
    jetpack_version,
    l4t_version,
    tensorrt_version,
)

Run = Callable[[Sequence[str]], str]
"""What a command prints; "" if it is missing or fails."""

_PACKAGES = ("nvidia-jetpack", "nvidia-l4t-core", "libnvinfer*")
_SECONDS = 10.0


@dataclass(frozen=True)
class Jetson:
    """What could be found out; None where the device does not say.

    memory  bytes, which CPU and GPU share
    """

    model: str | None
    jetpack: str | None
    l4t: str | None
    cuda: str | None
    tensorrt: str | None
    power_mode: str | None
    clocks: tuple[Clock, ...]
    memory: int | None

    def __str__(self) -> str:
        parts = [
            self.model or "unknown model",
            f"JetPack {self.jetpack or 'unknown'}",
            f"L4T {self.l4t or 'unknown'}",
            f"power mode {self.power_mode or 'unknown'}",
        ]
        gpus = [clock for clock in self.clocks if clock.name == "GPU"]
        if gpus:
            state = "locked at" if all(gpu.locked for gpu in gpus) else "up to"
            parts.append(f"GPU clock {state} {max(gpu.maximum for gpu in gpus):.0f} MHz")
        if self.memory is not None:
            parts.append(size_text(self.memory))
        return ", ".join(parts)


def command_output(command: Sequence[str]) -> str:
    """See ``Run``."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # dpkg-query fails if one of the names is unknown, and still prints the others.
    return done.stdout.decode(errors="replace")


def find_jetson(root: Path = Path("/"), run: Run = command_output) -> Jetson | None:
    """The Jetson that this is; None elsewhere.

    root  where its file system is
    run   how its commands are run
    """
    release = _text(root / "etc/nv_tegra_release")
    model = _text(root / "proc/device-tree/model").strip("\0 \n")
    if not release and "Jetson" not in model:
        return None
    packages = installed_packages(run(_dpkg_query()))
    l4t = l4t_version(release) or _l4t_of_package(packages)
    return Jetson(
        model=model or None,
        jetpack=jetpack_version(packages, l4t),
        l4t=l4t,
        cuda=cuda_version(run((_nvcc(root), "--version"))),
        tensorrt=tensorrt_version(packages),
        power_mode=power_mode(run(("nvpmodel", "-q"))),
        clocks=parse_clocks(run(("jetson_clocks", "--show"))) or read_clocks(root / "sys"),
        memory=_memory(_text(root / "proc/meminfo")),
    )


def _dpkg_query() -> tuple[str, ...]:
    form = "${db:Status-Abbrev} ${Package} ${Version}\n"
    return ("dpkg-query", "--show", f"--showformat={form}", *_PACKAGES)


def _nvcc(root: Path) -> str:
    return shutil.which("nvcc") or str(root / "usr/local/cuda/bin/nvcc")


def _l4t_of_package(packages: dict[str, str]) -> str | None:
    version = packages.get("nvidia-l4t-core")
    return None if version is None else version.split("-")[0]


def _memory(meminfo: str) -> int | None:
    found = re.search(r"^MemTotal: +(\d+) kB", meminfo, re.MULTILINE)
    return None if found is None else int(found[1]) << 10


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
