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
from spit_edge.runtime.backends.records import RECORDS, Appetite, BackendRecord
from spit_edge.runtime.bundle.folder import WEIGHTS

PIP_BYTES = 30_000_000
EXTRA_BYTES = 250_000_000
"""Of what an extra brings that is of no back end: assumed."""
RESERVE = 50_000_000
"""Of the disk, for logs, temporary files and a plugin library."""
COPIES_TO_BUILD = 4
"""Of the weights in memory while TensorRT builds: the parsed graph, the builder's own, the
finished engine on the GPU, and its serialized form."""


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
    takes = _appetite(RECORDS[plan.backend])
    engine = weights if plan.part is not None else 0
    venv = 0 if venv_there else _venv_bytes(package, plan)
    return Needs(
        disk=to_send + venv + engine + RESERVE,
        run=int(takes.copies * weights) + takes.process,
        build=COPIES_TO_BUILD * weights + takes.process if plan.part is not None else 0,
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


def _appetite(record: BackendRecord) -> Appetite:
    assert record.appetite is not None  # every back end of this package has one
    return record.appetite


def _venv_bytes(package: Package, plan: Plan) -> int:
    """Of what the wheelhouse holds; else by extra."""
    if package.wheelhouse:
        return PIP_BYTES + sum(_unpacked_sizes(package))
    known = {record.extra: _appetite(record).environment for record in RECORDS.values()}
    return sum(known.get(extra, EXTRA_BYTES) for extra in plan.extras.split(","))


def _unpacked_sizes(package: Package) -> Iterator[int]:
    for file in package.wheelhouse:
        try:
            with zipfile.ZipFile(file.source) as wheel:
                yield sum(info.file_size for info in wheel.infolist())
        except zipfile.BadZipFile as error:
            raise DeployError(f"{file.source} is not a wheel") from error
