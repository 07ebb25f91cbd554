"""Token rows of regions: the native kernels against the reference and a resampling of boxes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import torch

from benchmarks.gpu_kernels import GpuKernels
from benchmarks.peers import region_colours
from benchmarks.photo import astronaut, batch_of
from benchmarks.suite import Chart, Row, Settings, Suite, timed_rows
from benchmarks.timing import time_in_turn, use_threads
from benchmarks.tokenizer import GPU, REFERENCE, library_or_reason, ours_by_threads
from spit_edge import plugins
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.spit_ref import region_features

WHAT = "features"
SIGMA = 0.05
GRID_SAMPLE = "grid_sample of boxes"


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by image side."""
    library, absent = library_or_reason()
    with use_threads(settings.threads):
        for size in settings.sizes:
            yield from _at(size, settings, library)
    for variant, reason in absent.items():
        yield Row(what=WHAT, size="any", variant=variant, note=reason)


def _at(size: int, settings: Settings, library: TokenizerLibrary | None) -> Iterator[Row]:
    images = batch_of(astronaut(size))
    labels, counts = plugins.superpixel_merge(images)
    regions = int(counts[0])
    op = partial(plugins.region_features, images, labels, counts, sigma=SIGMA)
    functions, ours = ours_by_threads(op, settings.threads)
    tensors = [torch.from_numpy(array) for array in (images, labels, counts)]
    with ExitStack() as stack:
        if library is not None:
            gpu = stack.enter_context(GpuKernels(library, images, regions, sigma=SIGMA))
            functions[GPU] = gpu.features
        functions[REFERENCE] = partial(region_features, *tensors, sigma=SIGMA)
        functions[GRID_SAMPLE] = partial(region_colours, tensors[0], tensors[1], regions)
        timings = time_in_turn(functions, rounds=settings.rounds)
    yield from timed_rows(
        WHAT,
        size,
        timings,
        ours,
        more={name: {"regions": regions} for name in functions},
        notes={GRID_SAMPLE: "colours only: no contrast, mask or histograms"},
    )


SUITE = Suite(
    name="features",
    title="token rows of the astronaut's superpixels, with gradient features, sigma 0.05",
    measure=measure,
    chart=Chart(kind="lines", label="ms"),
    sizes=(224, 512, 1024, 2048),
)
