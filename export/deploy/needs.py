"""Disk and memory that a deployment takes, computed before it begins."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from spit_edge.base.sizes import size_text
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.package import Package
from spit_edge.export.deploy.plan import Plan
from spit_edge.export.deploy.target import Facts
from spit_edge.runtime.bundle.folder import WEIGHTS

VENV_BYTES = {"onnxruntime": 250_000_000, "tensorrt": 150_000_000}
"""Of an environment with the packages that its extra brings; others are taken for the largest."""
PIP_BYTES = 30_000_000
RESERVE = 50_000_000
"""Of the disk, for logs, temporary files and a plugin library."""
COPIES_TO_BUILD = 4
"""Of the weights in memory while TensorRT builds: the parsed graph, the builder's own, the
finished engine on the GPU, and its serialized form."""
COPIES_TO_RUN = {"tensorrt": 1, "onnxruntime": 2.5}
"""Of the weights in memory while it runs; ONNX Runtime computes fp16 on a CPU in fp32."""
PROCESS_BYTES = {"tensorrt": 1_000_000_000, "onnxruntime": 100_000_000}
"""What a process takes with hardly a model: Python, the libraries, with a GPU CUDA's context.

Measured for ONNX Runtime on x86: 96 MB with spit_tiny, 527 MB with spit_b16 in fp16; assumed for
TensorRT.
"""


@dataclass(frozen=True)
class Needs:
    """Bytes; ``build`` is 0 where no engine is built."""

    disk: int
    run: int
    build: int

    @property
    def memory(self) -> int:
        return max(self.run, self.build)

    def __str__(self) -> str:
        build = f", building {size_text(self.build)}" if self.build else ""
        running = f"running {size_text(self.run)}{build}"
        return f"needs: {size_text(self.disk)} of disk; memory: {running}"


def compute_needs(package: Package, plan: Plan, to_send: int, *, venv_there: bool) -> Needs:
    """What the steps of ``plan`` take with ``to_send`` bytes to transfer.

    Memory is an estimate: copies of the weights that are held at the same time, and the process.
    """
    weights = package.files[f"bundle/{WEIGHTS}"].bytes
    kind = "tensorrt" if plan.part is not None else "onnxruntime"
    engine = weights if plan.part is not None else 0
    venv = 0 if venv_there else _venv_bytes(package, plan)
    return Needs(
        disk=to_send + venv + engine + RESERVE,
        run=int(COPIES_TO_RUN[kind] * weights) + PROCESS_BYTES[kind],
        build=COPIES_TO_BUILD * weights + PROCESS_BYTES[kind] if plan.part is not None else 0,
    )


def check_needs(needs: Needs, facts: Facts, *, ignore_memory: bool = False) -> None:
    """DeployError if the device has less."""
    if needs.disk > facts.disk_free:
        raise DeployError(
            f"{facts.root} on the device has {size_text(facts.disk_free)} free but "
            f"{size_text(needs.disk)} are needed: free some space, or choose a folder on another "
            "disk"
        )
    if ignore_memory or facts.memory_free is None:
        return
    if needs.memory > facts.memory_free:
        raise DeployError(
            f"the device has {size_text(facts.memory_free)} of memory free but "
            f"{size_text(needs.memory)} are needed: end other programs there (a camera service, "
            "the desktop), deploy a smaller model, or try it with --ignore-memory"
        )


def _venv_bytes(package: Package, plan: Plan) -> int:
    if not package.wheelhouse:
        most = max(VENV_BYTES.values())
        return sum(VENV_BYTES.get(extra, most) for extra in plan.extras.split(","))
    return PIP_BYTES + sum(_unpacked_sizes(package))


def _unpacked_sizes(package: Package) -> Iterator[int]:
    for file in package.wheelhouse:
        try:
            with zipfile.ZipFile(file.source) as wheel:
                yield sum(info.file_size for info in wheel.infolist())
        except zipfile.BadZipFile as error:
            raise DeployError(f"{file.source} is not a wheel") from error
