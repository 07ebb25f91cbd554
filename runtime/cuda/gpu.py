"""The GPU and the driver, asked through CUDA's Python bindings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spit_edge.base.install import pip_install
from spit_edge.runtime.errors import BackendUnavailable


@dataclass(frozen=True)
class Device:
    """The current GPU.

    sm                         compute capability times ten, 87 for Orin
    total_memory, free_memory  bytes; a Jetson's GPU shares them with the CPU, and what files left
                               in its cache counts as free
    driver_cuda, runtime_cuda  the newest CUDA that the driver serves, and the CUDA of the
                               Python bindings, as "12.6"
    """

    name: str
    sm: int
    total_memory: int
    free_memory: int
    driver_cuda: str
    runtime_cuda: str


def current_device() -> Device:
    """The GPU that CUDA uses now.

    Raises BackendUnavailable, which says what is missing: the bindings, the driver, a newer
    driver, or a GPU.
    """
    cudart = _bindings()
    driver = _asked(cudart, "cudaDriverGetVersion")
    runtime = _asked(cudart, "cudaRuntimeGetVersion")
    _refuse_driver(driver, runtime)
    none = cudart.cudaError_t.cudaErrorNoDevice
    too_old = cudart.cudaError_t.cudaErrorInsufficientDriver
    status, count = cudart.cudaGetDeviceCount()
    if status == too_old:
        raise BackendUnavailable(_too_old(driver, runtime))
    if status == none or (not int(status) and not count):
        raise BackendUnavailable(
            "CUDA sees no GPU: is one built in, and does CUDA_VISIBLE_DEVICES hide it?"
        )
    if int(status):
        raise BackendUnavailable(_failed(cudart, "cudaGetDeviceCount", status))
    number = _asked(cudart, "cudaGetDevice")
    properties = _asked(cudart, "cudaGetDeviceProperties", number)
    free, total = _asked(cudart, "cudaMemGetInfo")
    return Device(
        name=_text(properties.name),
        sm=10 * properties.major + properties.minor,
        total_memory=total,
        free_memory=(_available() or free) if properties.integrated else free,
        driver_cuda=_dotted(driver),
        runtime_cuda=_dotted(runtime),
    )


def bindings_for(driver: int) -> str:
    """What to ask pip for beside a driver that serves CUDA up to ``driver``, 12060 for 12.6.

    A Jetson's driver serves no newer CUDA than its own.  Of the bindings for CUDA 12, those up to
    12.8 call the driver; later ones bring a runtime of their own.
    """
    major, minor = driver // 1000, driver % 1000 // 10
    newer = "12.9" if major == 12 else f"{major}.{minor + 1}"
    return f"cuda-bindings>=12.8,<{newer}"


def _available() -> int | None:
    """Bytes that the system could give to a process; CUDA knows of those in no use at all."""
    try:
        found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return None
    return None if found is None else int(found[1]) << 10


def _bindings() -> Any:
    try:
        from cuda.bindings import runtime
    # A library that the bindings load may be missing, which is no ImportError.
    except Exception as error:
        raise BackendUnavailable(
            f"CUDA's Python bindings cannot be loaded ({error}): {pip_install('tensorrt')}"
        ) from error
    return runtime


def _refuse_driver(driver: int, runtime: int) -> None:
    if driver == 0:
        raise BackendUnavailable(
            "there is no NVIDIA driver: install it, or run this on the machine with the GPU "
            "(in a container, with --gpus all or --runtime nvidia)"
        )
    # A driver serves runtimes of its own major version, and all older ones.
    if driver // 1000 < runtime // 1000:
        raise BackendUnavailable(_too_old(driver, runtime))


def _too_old(driver: int, runtime: int) -> str:
    return (
        f"the driver serves CUDA up to {_dotted(driver)} but CUDA's Python bindings are of "
        f"{_dotted(runtime)}: update the driver or pip install '{bindings_for(driver)}'"
    )


def _asked(cudart: Any, call: str, *arguments: object) -> Any:
    """What a CUDA call returns behind its status."""
    status, *values = getattr(cudart, call)(*arguments)
    if int(status):
        raise BackendUnavailable(_failed(cudart, call, status))
    return values[0] if len(values) == 1 else values


def _failed(cudart: Any, call: str, status: Any) -> str:
    _, description = cudart.cudaGetErrorString(status)
    return f"{call} failed ({_text(description)}): does nvidia-smi or tegrastats work here?"


def _text(value: bytes | str) -> str:
    return (value.decode() if isinstance(value, bytes) else value).rstrip("\0")


def _dotted(version: int) -> str:
    """CUDA's 12060 as "12.6"."""
    return f"{version // 1000}.{version % 1000 // 10}"
