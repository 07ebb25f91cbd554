"""The GPU and the driver, asked through CUDA's Python bindings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spit_edge.base.driver import bindings_for, dotted
from spit_edge.runtime.cuda import api
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError


@dataclass(frozen=True)
class Gpu:
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


def current_gpu() -> Gpu:
    """The GPU that CUDA uses now.

    Raises BackendUnavailable, which says what is missing: the bindings, the driver, a newer
    driver, or a GPU.
    """
    try:
        driver, runtime = api.call("cudaDriverGetVersion"), api.call("cudaRuntimeGetVersion")
        _refuse_driver(driver, runtime)
        _refuse_none(driver, runtime)
        properties = api.call("cudaGetDeviceProperties", api.gpu_index())
        free, total = api.call("cudaMemGetInfo")
    except ExecutionError as error:
        raise BackendUnavailable(f"{error}: does nvidia-smi or tegrastats work here?") from error
    name: bytes | str = properties.name
    return Gpu(
        name=(name.decode() if isinstance(name, bytes) else name).rstrip("\0"),
        sm=10 * properties.major + properties.minor,
        total_memory=total,
        free_memory=(_available() or free) if properties.integrated else free,
        driver_cuda=dotted(driver),
        runtime_cuda=dotted(runtime),
    )


def _refuse_driver(driver: int, runtime: int) -> None:
    if driver == 0:
        raise BackendUnavailable(
            "there is no NVIDIA driver: install it, or run this on the machine with the GPU "
            "(in a container, with --gpus all or --runtime nvidia)"
        )
    # A driver serves runtimes of its own major version, and all older ones.
    if driver // 1000 < runtime // 1000:
        raise BackendUnavailable(_too_old(driver, runtime))


def _refuse_none(driver: int, runtime: int) -> None:
    status, count = api.runtime_api().cudaGetDeviceCount()
    if status.name == "cudaErrorInsufficientDriver":
        raise BackendUnavailable(_too_old(driver, runtime))
    if status.name == "cudaErrorNoDevice" or (not int(status) and not count):
        raise BackendUnavailable(
            "CUDA sees no GPU: is one built in, and does CUDA_VISIBLE_DEVICES hide it?"
        )
    api.check(status, "cudaGetDeviceCount")


def _too_old(driver: int, runtime: int) -> str:
    return (
        f"the driver serves CUDA up to {dotted(driver)} but CUDA's Python bindings are of "
        f"{dotted(runtime)}: update the driver or pip install '{bindings_for(driver)}'"
    )


def _available() -> int | None:
    """Bytes that the system could give to a process; CUDA knows of those in no use at all."""
    try:
        found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return None
    return None if found is None else int(found[1]) << 10
