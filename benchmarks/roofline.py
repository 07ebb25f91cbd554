"""The kernels on GPUs: bytes, operations and launches, and the time that these take at least."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_kernels import GpuKernels, open_library
from benchmarks.gpus import GPUS, LAUNCH_SECONDS, Gpu
from benchmarks.kernel_traffic import Traffic, feature_traffic, merge_counts, merge_traffic
from benchmarks.machine import gpu_name
from benchmarks.photo import astronaut, batch_of
from benchmarks.suite import MIB, Chart, Figure, Row, Settings, Suite
from benchmarks.timing import time_in_turn
from spit_edge.base.contracts import REGION_FEATURES, SUPERPIXEL_MERGE
from spit_edge.plugins.cuda_build import CudaBuildError, compile_object, find_nvcc
from spit_edge.plugins.cuda_launches import LaunchRecorder, OpRun
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.errors import BackendUnavailable

SIGMA = 0.05


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by op and image side: counts, a floor for each device, and what this GPU takes."""
    with tempfile.TemporaryDirectory() as folder:
        recorder, reason = launch_recorder(Path(folder))
        absent = {} if recorder else {"launches and workspace": reason}
        try:
            library = open_library()
        except BackendUnavailable as error:
            library, absent["GPU"] = None, str(error)
        for size in settings.sizes:
            yield from _at(size, settings, recorder, library)
    for gpu in GPUS:
        yield Row(what="devices", size="", variant=gpu.name, more=_described(gpu))
    for variant, why in absent.items():
        yield Row(what="not measured", size="any", variant=variant, note=why)


def launch_recorder(folder: Path) -> tuple[LaunchRecorder | None, str]:
    """The recorder, built in ``folder``; or None and what is missing for it."""
    try:
        nvcc, kernels = find_nvcc(), folder / "launch.o"
        compile_object(nvcc, kernels, [87])
        return LaunchRecorder(nvcc, kernels, folder / "launch_recorder"), ""
    except CudaBuildError as error:
        return None, str(error)


def _at(
    size: int,
    settings: Settings,
    recorder: LaunchRecorder | None,
    library: TokenizerLibrary | None,
) -> Iterator[Row]:
    images = batch_of(astronaut(size))
    counts = merge_counts(images)
    regions = counts.vertices[-1]
    traffics = [merge_traffic(counts), feature_traffic(size * size, regions, SIGMA)]
    runs: list[OpRun | None] = [None, None]
    if recorder is not None:
        runs = [
            recorder.record(SUPERPIXEL_MERGE, 1, size, size),
            recorder.record(REGION_FEATURES, 1, size, size, max_tokens=regions),
        ]
    for traffic, run in zip(traffics, runs, strict=True):
        if run is not None:
            check_phases(traffic, run)
        yield _counts(traffic, run, size, regions)
    for traffic in traffics:
        for gpu in GPUS:
            figures = floor(traffic, gpu)
            yield Row(what=traffic.op, size=size, variant=gpu.name, more=figures)
    if library is not None:
        yield from measured(library, images, regions, settings.rounds)


def check_phases(traffic: Traffic, run: OpRun) -> None:
    """Raise ValueError unless ``traffic`` has the phases that the op launches, in their order."""
    found = [re.sub("<.*", "", launch.kernel) for launch in run.launches]
    listed = [phase.kernel for phase in traffic.phases]
    if found != listed:
        raise ValueError(f"{traffic.op} launches {found}, but bytes are counted for {listed}")


def floor(traffic: Traffic, gpu: Gpu) -> dict[str, Figure]:
    """Milliseconds of what cannot be saved, and of all arrays of all phases through memory."""
    launches = LAUNCH_SECONDS * len(traffic.phases)
    memory = traffic.compulsory / gpu.bandwidth
    arithmetic = traffic.operations / gpu.operations
    each = sum(
        max(phase.bytes / gpu.bandwidth, phase.operations / gpu.operations)
        for phase in traffic.phases
    )
    return {
        "launches": 1e3 * launches,
        "inputs, outputs": 1e3 * memory,
        "operations": 1e3 * arithmetic,
        "floor": 1e3 * (launches + max(memory, arithmetic)),
        "without cache": 1e3 * (launches + each),
    }


def _counts(traffic: Traffic, run: OpRun | None, size: int, regions: int) -> Row:
    more: dict[str, Figure] = {
        "regions": regions,
        "launches": len(traffic.phases),
        "MiB in, out": traffic.compulsory / MIB,
        "MiB all phases": traffic.bytes / MIB,
        "Mop": traffic.operations / 1e6,
        "op a byte": traffic.operations / traffic.bytes,
    }
    if run is not None:
        more["MiB workspace"] = run.workspace / MIB
    return Row(what="counts", size=size, variant=traffic.op, more=more)


def measured(
    library: TokenizerLibrary, images: NDArray[np.uint8], regions: int, rounds: int
) -> Iterator[Row]:
    """What the GPU here takes, from the call to the end of its work."""
    with GpuKernels(library, images, regions, sigma=SIGMA) as kernels:
        functions = {"SuperpixelMerge": kernels.merge, "RegionFeatures": kernels.features}
        timings = time_in_turn(functions, rounds=rounds)
    for op, timing in timings.items():
        yield Row(
            what=op,
            size=images.shape[2],
            variant=f"measured: {gpu_name()}",
            median=timing.median,
            p10=timing.p10,
            p90=timing.p90,
        )


def _described(gpu: Gpu) -> dict[str, Figure]:
    return {
        "GB/s": gpu.bandwidth / 1e9,
        "cores": gpu.cores,
        "GHz": gpu.clock / 1e9,
        "from": gpu.source,
    }


SUITE = Suite(
    name="roofline",
    title="one uint8 image on GPUs; computed, in ms, except what says measured",
    measure=measure,
    chart=Chart(kind="bars", value="floor", label="floor, ms"),
    notes=(
        "floor: launches, and the longer of reading inputs and writing outputs once and of all "
        "operations. without cache: every array of every phase through memory.",
        "Counted are float32 + - * / and square roots (no fused ones: the kernels must not use "
        "them), each as one; not atomic additions, integers and comparisons.",
        f"A launch takes {1e6 * LAUNCH_SECONDS:g} µs, which is assumed.",
    ),
    sizes=(224, 512, 1024),
)
