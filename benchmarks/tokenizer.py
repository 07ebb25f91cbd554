"""Superpixels: the native kernels against the reference, OpenCV and scikit-image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch

from benchmarks.gpu_kernels import GpuKernels, open_library
from benchmarks.peers import count_regions, opencv_peers, skimage_peers
from benchmarks.photo import astronaut, batch_of
from benchmarks.suite import Chart, Figure, Row, Settings, Suite, timed_rows
from benchmarks.timing import time_in_turn, use_threads
from spit_edge import plugins
from spit_edge.base.install import pip_install
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.errors import BackendUnavailable
from spit_edge.spit_ref import superpixel_merge

WHAT = "labels"
REFERENCE = "PyTorch reference"
GPU = "ours, GPU"


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by image side."""
    library, absent = library_or_reason()
    with use_threads(settings.threads):
        for size in settings.sizes:
            yield from _at(size, settings, library, absent)
    for variant, reason in absent.items():
        yield Row(what=WHAT, size="any", variant=variant, note=reason)


def library_or_reason() -> tuple[TokenizerLibrary | None, dict[str, str]]:
    """The library for the GPU here, or why the variant on the GPU is absent."""
    try:
        return open_library(), {}
    except BackendUnavailable as error:
        return None, {GPU: str(error)}


def _at(
    size: int, settings: Settings, library: TokenizerLibrary | None, absent: dict[str, str]
) -> Iterator[Row]:
    photo = astronaut(size)
    images = batch_of(photo)
    _, counts = plugins.superpixel_merge(images)
    regions = int(counts[0])
    functions, ours = ours_by_threads(partial(plugins.superpixel_merge, images), settings.threads)
    with ExitStack() as stack:
        if library is not None:
            gpu = stack.enter_context(GpuKernels(library, images, regions))
            functions[GPU] = gpu.merge
        functions[REFERENCE] = partial(superpixel_merge, torch.from_numpy(images))
        more: dict[str, dict[str, Figure]] = {name: {"regions": regions} for name in functions}
        for peers, package in ((opencv_peers, "OpenCV"), (skimage_peers, "scikit-image")):
            try:
                for name, segment in peers(photo, regions):
                    functions[name] = segment
                    more[name] = {"regions": count_regions(segment())}
            except ImportError as error:
                absent[package] = f"{error}: {pip_install('bench')}"
        timings = time_in_turn(functions, rounds=settings.rounds)
    yield from timed_rows(WHAT, size, timings, ours, more=more)


def ours_by_threads(
    op: Callable[..., object], threads: int
) -> tuple[dict[str, Callable[[], object]], str]:
    """A native op with one thread, two and all, by variant; and the variant with all."""
    functions: dict[str, Callable[[], object]] = {}
    for number in sorted({1, min(2, threads), threads}):
        ours = f"ours, {number} thread{'s' if number > 1 else ''}"
        functions[ours] = partial(op, threads=number)
    return functions, ours


SUITE = Suite(
    name="tokenizer",
    title="superpixels of the astronaut photograph, uint8",
    measure=measure,
    chart=Chart(kind="lines", label="ms"),
    notes=(
        "SEEDS runs 4 iterations, SLIC and LSC 10, on a Lab image made beforehand; all are set to "
        "as many regions as ours, and the column regions says how near they came.",
        "Photographs beyond 512² are enlarged.",
    ),
    sizes=(224, 512, 1024, 2048),
)
