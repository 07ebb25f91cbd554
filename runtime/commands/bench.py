"""``bench``: time a bundle here."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from spit_edge.base.command_line import DONE
from spit_edge.base.files import check_writable, whole_file
from spit_edge.base.install import installed_versions
from spit_edge.base.memory import peak_resident_memory
from spit_edge.base.progress import Steps, console
from spit_edge.base.ranges import COUNT, WARMUP, Above
from spit_edge.runtime.bench.measure import (
    IN_FLIGHT,
    Latency,
    Limit,
    Throughput,
    measure_latency,
    measure_stages,
    measure_throughput,
    used_gpu_memory,
)
from spit_edge.runtime.bench.report import Energy, Report, encode, tables
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.commands.options import add_session
from spit_edge.runtime.cuda.gpu import current_gpu
from spit_edge.runtime.errors import BackendUnavailable, ImageError
from spit_edge.runtime.images import Pixels, load_fitted
from spit_edge.runtime.jetson.board import find_board
from spit_edge.runtime.jetson.power_meter import Power, mean_power, power_meter
from spit_edge.runtime.parity.self_check import read_check
from spit_edge.runtime.session import Session

SECONDS = 5.0
_PACKAGES = ("spit-edge", "numpy", "onnxruntime", "onnxruntime-gpu", "tensorrt", "cuda-bindings")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``bench``."""
    add_session(parser)
    parser.add_argument("--batch", type=COUNT, default=1, metavar="N", help="images per batch [1]")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--seconds", type=Above(0), metavar="S", help="length of each measurement [5]"
    )
    limit.add_argument(
        "--runs", type=COUNT, metavar="N", help="batches per measurement, instead of --seconds"
    )
    parser.add_argument(
        "--warmup",
        type=WARMUP,
        default=10,
        metavar="N",
        help="batches to run first, not counted [10]",
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="image to run [the bundle's own, in turn]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables, write the JSON."""
    if options.json is not None:
        check_writable(options.json)
    report = bench(options, Steps())
    for table in tables(report):
        console().print(table)
    if options.json is not None:
        with whole_file(options.json) as stream:
            stream.write(encode(report))
    return DONE


def bench(options: argparse.Namespace, steps: Steps) -> Report:
    """Measure one thing after another, so that none disturbs another.

    Raises SpitError of whatever kind.
    """
    limit = Limit(None if options.runs else options.seconds or SECONDS, options.runs)
    gpu_before = used_gpu_memory()
    with steps.step("opening the bundle"):
        session = Session.open(options.bundle, options.backend, threads=options.threads)
    with session:
        manifest = session.bundle.manifest
        if options.batch > manifest.batch.max:
            raise ImageError(f"{options.bundle} takes batches of up to {manifest.batch.max} images")
        batches = list(_batches(session.bundle, options.image, options.batch))
        with steps.step("warming up"):
            warm = Limit(runs=max(options.warmup, len(batches)))
            regions = _mean_regions(session, batches)
            measure_throughput(session, batches, warm, IN_FLIGHT)
        with steps.step("one batch at a time"):
            latency = measure_latency(session, batches, limit)
        with steps.step("two batches in flight"):
            rate, power = _with_power(session, batches, limit)
        with steps.step("stages"):
            stages = measure_stages(session, batches, limit)
        gpu_after = used_gpu_memory()
    return Report(
        bundle=str(options.bundle),
        model=manifest.model,
        precision=manifest.precision,
        backend=session.backend,
        batch=options.batch,
        height=manifest.preprocessing.height,
        width=manifest.preprocessing.width,
        regions=regions,
        latency=latency,
        throughput=[_one_at_a_time(latency, options.batch), rate],
        stages=stages,
        memory_peak=peak_resident_memory(),
        gpu_memory=_growth(gpu_before, gpu_after),
        energy=None if power is None else _energy(power, rate),
        gpu=_gpu(),
        jetson=find_board(),
        versions=dict(_versions()),
    )


def _batches(bundle: Bundle, image: Path | None, size: int) -> Iterator[Pixels]:
    """A batch beginning with each of the images, uint8 [size, 3, H, W]."""
    wanted = bundle.manifest.preprocessing
    if image is None:
        images = [photograph for photograph, _ in read_check(bundle).values()]
    else:
        images = [load_fitted(image, wanted.height, wanted.width)]
    for start in range(len(images)):
        batch = np.stack(list(islice(cycle(images), start, start + size)))
        yield np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def _mean_regions(session: Session, batches: Sequence[Pixels]) -> float:
    counts = [session.run(batch, truncate=True).num_tokens for batch in batches]
    return float(np.concatenate(counts).mean())


def _one_at_a_time(latency: Latency, batch: int) -> Throughput:
    return Throughput(
        in_flight=1,
        images_per_second=batch / latency.mean * 1e3,
        images=batch * latency.runs,
        seconds=latency.mean * latency.runs / 1e3,
    )


def _energy(power: Power, rate: Throughput) -> Energy:
    millijoules = 1e3 * power.watts / rate.images_per_second
    return Energy(power=power, millijoules_per_image=millijoules)


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)


def _with_power(
    session: Session, batches: Sequence[Pixels], limit: Limit
) -> tuple[Throughput, Power | None]:
    with power_meter() as meter:
        start = time.monotonic()
        rate = measure_throughput(session, batches, limit, IN_FLIGHT)
        return rate, mean_power(meter, start, time.monotonic())


def _gpu() -> str | None:
    try:
        gpu = current_gpu()
    except BackendUnavailable:
        return None
    return f"{gpu.name}, SM {gpu.sm}, CUDA {gpu.driver_cuda}"


def _versions() -> Iterator[tuple[str, str]]:
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "Python", platform.python_version()
    yield from installed_versions(*_PACKAGES).items()
