"""What a device says of itself, as ``device/facts.py`` sends it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from spit_edge.export.deploy.errors import DeployError
from spit_edge.runtime.cuda.driver import dotted


class Gpu(Struct, frozen=True):
    """Compute capability times ten, and the newest CUDA that the driver runs (13000 for 13.0)."""

    sm: int
    cuda: int


class Facts(Struct, frozen=True):
    """Sizes are bytes; None: not there, or not known.

    root               the service's folder, absolute
    venv               whether its Python can make environments
    numpy, tensorrt    versions of the system's packages
    to_compile         packages of Debian that compiling the runtime needs and that are not there
    jetson             model, JetPack, power mode and clocks, in words
    memory_free        for new processes; on a Jetson CPU and GPU share it
    current, previous  names of releases
    """

    root: str
    machine: str
    python: str
    venv: bool
    numpy: str | None
    tensorrt: str | None
    to_compile: list[str]
    gpu: Gpu | None
    jetson: str | None
    rsync: bool
    disk_free: int
    memory_free: int | None
    current: str | None
    previous: str | None

    def __str__(self) -> str:
        parts = [self.jetson or self.machine, f"Python {self.python}"]
        parts.append(f"numpy {self.numpy}" if self.numpy else "no numpy")
        parts.append(f"TensorRT {self.tensorrt}" if self.tensorrt else "no TensorRT")
        if self.gpu is None:
            parts.append("no GPU")
        else:
            parts.append(f"GPU sm_{self.gpu.sm} with CUDA up to {dotted(self.gpu.cuda)}")
        parts.append(f"{self.disk_free / 1e9:.1f} GB of disk free")
        if self.memory_free is not None:
            parts.append(f"{self.memory_free / 1e9:.1f} GB of memory free")
        return ", ".join(parts)


def facts_from(value: Any) -> Facts:
    """The facts in a device's answer."""
    try:
        return msgspec.convert(value, Facts)
    except msgspec.ValidationError as error:
        raise DeployError(f"the device says strange things of itself: {error}") from error
