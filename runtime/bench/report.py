"""What a measurement gives: as JSON and as tables."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from spit_edge.base.text import shown
from spit_edge.runtime.bench.measure import Latency, Throughput
from spit_edge.runtime.jetson.board import Jetson
from spit_edge.runtime.jetson.power_meter import Power


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Power while two batches are in flight; the device's idle power is part of it."""

    power: Power
    millijoules_per_image: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of the JSON.

    ``memory_peak`` is this process's, ``gpu_memory`` what the session took on the GPU, in bytes;
    on a Jetson both lie in the same RAM.  What cannot be measured here is None.
    """

    bundle: str
    model: str
    precision: str
    backend: str
    batch: int
    height: int
    width: int
    regions: float
    latency: Latency
    throughput: list[Throughput]
    stages: dict[str, Latency] | None
    memory_peak: int | None
    gpu_memory: int | None
    energy: Energy | None
    gpu: str | None
    jetson: Jetson | None
    versions: dict[str, str]


def encode(report: Report) -> bytes:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def tables(report: Report) -> Iterator[Table]:
    """Times, and everything else."""
    yield _times(report)
    yield _facts(report)


def _times(report: Report) -> Table:
    images = "image" if report.batch == 1 else f"batch of {report.batch}"
    title = f"{report.bundle} on {report.backend}: ms per {images}"
    table = Table(
        title=Text(shown(title)), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("what", no_wrap=True)
    for column in ("p50", "p90", "p99", "mean", "min", "max", "runs"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, taken in {"all": report.latency, **(report.stages or {})}.items():
        figures = (taken.p50, taken.p90, taken.p99, taken.mean, taken.min, taken.max)
        table.add_row(name, *(f"{value:.2f}" for value in figures), str(taken.runs))
    return table


def _facts(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for rate in report.throughput:
        flight = f"{rate.in_flight} in flight" if rate.in_flight > 1 else "one at a time"
        table.add_row(f"images a second, {flight}", f"{rate.images_per_second:.1f}")
    table.add_row("regions per image, mean", f"{report.regions:.0f}")
    if report.stages is None:
        table.add_row("stages", f"{report.backend} cannot tell them apart")
    if report.memory_peak is not None:
        table.add_row("memory, peak", f"{report.memory_peak / 2**20:.0f} MiB")
    if report.gpu_memory is not None:
        table.add_row("memory on the GPU", f"{report.gpu_memory / 2**20:.0f} MiB")
    table.add_row("power", _power(report.energy))
    if report.gpu is not None:
        table.add_row("GPU", report.gpu)
    if report.jetson is not None:
        table.add_row("Jetson", str(report.jetson))
    return table


def _power(energy: Energy | None) -> str:
    if energy is None:
        return "not measured: no tegrastats or jetson-stats here, or too short for a sample"
    power = energy.power
    return (
        f"{power.watts:.2f} W, {energy.millijoules_per_image:.0f} mJ an image "
        f"({power.source}, {' + '.join(power.rails)}, {power.samples} samples)"
    )
