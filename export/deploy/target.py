"""Where a bundle goes, how, and what the machine there says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from spit_edge.base.driver import dotted
from spit_edge.base.sizes import size_text
from spit_edge.export.deploy.answers import Count, ReleaseName
from spit_edge.export.deploy.errors import DeployError

HOME = "spit-edge"
"""Folder, in the user's home on the device, of services for which none is named."""
EngineWish = Literal["auto", "now", "never"]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Target:
    """A service on a device.

    host        what ssh is given: ``user@address`` or a name of its configuration
    root        the service's folder there, relative to the user's home unless it begins with /
    ssh_config  file for ``ssh -F``; None: the user's own
    """

    host: str
    root: str
    ssh_config: Path | None = None


def parse_target(
    text: str, name: str | None, default_name: str, ssh_config: Path | None = None
) -> Target:
    """``[user@]host[:dir]`` and the service's name; DeployError if they are not of that form."""
    host, _, folder = text.partition(":")
    if text.startswith("["):  # [::1]:dir
        host, _, folder = text[1:].partition("]")
        folder = folder.removeprefix(":")
    if not host or host.startswith("-") or any(c.isspace() or not c.isprintable() for c in host):
        raise DeployError(f"{text!r} is not a device: write user@host or user@host:folder")
    for given in filter(None, (name, None if folder else default_name)):
        if not _NAME.fullmatch(given):
            raise DeployError(
                f"{given!r} is not a name for a service: use letters, digits, '.', '_' and '-', "
                "as in --name door-camera"
            )
    if folder.startswith("-") or not folder.isprintable():
        raise DeployError(f"{folder!r} is not a folder for a service")
    if not folder:
        return Target(host, f"{HOME}/{name or default_name}", ssh_config)
    return Target(host, f"{folder}/{name}" if name else folder, ssh_config)


@dataclass(frozen=True)
class DeployOptions:
    """How a bundle is deployed.

    engine   auto: where there are TensorRT and a GPU; now: it must be; never
    backend  that the check runs on; None: tensorrt with an engine, else onnxruntime
    keep     releases that stay on the device
    seconds  of each measurement of speed; 0: none
    restart  unit of the user's systemd to restart, if it runs, once the release is in use
    extras   of this package to install beside what the back end needs
    ignore_memory  go on where less is free than is computed
    """

    engine: EngineWish = "auto"
    backend: str | None = None
    keep: int = 3
    seconds: float = 1.0
    restart: str | None = None
    extras: tuple[str, ...] = ()
    ignore_memory: bool = False


Version = Annotated[str, Meta(pattern=r"^\d{1,9}\.\d{1,9}[\w.+-]{0,80}\Z")]

_Package = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.+-]{0,79}\Z")]


class Gpu(Struct, frozen=True):
    """Compute capability times ten, and the newest CUDA that the driver runs (13000 for 13.0)."""

    sm: Annotated[int, Meta(ge=10, le=9999)]
    cuda: Annotated[int, Meta(ge=1000, le=999_999)]


class Facts(Struct, frozen=True):
    """What ``agent/facts.py`` finds.  Sizes are bytes; None: not there, or not known.

    root               the service's folder, absolute
    venv               whether its Python can make environments
    numpy, tensorrt    versions of the system's packages
    to_compile         packages of Debian that compiling the runtime needs and that are not there
    jetson             model, JetPack, power mode and clocks, in words
    memory_free        for new processes; on a Jetson CPU and GPU share it
    current, previous  names of releases
    """

    root: Annotated[str, Meta(pattern=r"^/[^\x00-\x1f\x7f]*\Z", max_length=4096)]
    machine: Annotated[str, Meta(pattern=r"^\w{1,40}\Z")]
    python: Version
    venv: bool
    numpy: Version | None
    tensorrt: Version | None
    to_compile: Annotated[list[_Package], Meta(max_length=20)]
    gpu: Gpu | None
    jetson: Annotated[str, Meta(max_length=500)] | None
    rsync: bool
    disk_free: Count
    memory_free: Count | None
    current: ReleaseName | None
    previous: ReleaseName | None

    def __str__(self) -> str:
        parts = [self.jetson or self.machine, f"Python {self.python}"]
        parts.append(f"numpy {self.numpy}" if self.numpy else "no numpy")
        parts.append(f"TensorRT {self.tensorrt}" if self.tensorrt else "no TensorRT")
        if self.gpu is None:
            parts.append("no GPU")
        else:
            parts.append(f"GPU sm_{self.gpu.sm} with CUDA up to {dotted(self.gpu.cuda)}")
        parts.append(f"{size_text(self.disk_free)} of disk free")
        if self.memory_free is not None:
            parts.append(f"{size_text(self.memory_free)} of memory free")
        return ", ".join(parts)
