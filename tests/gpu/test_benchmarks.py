"""The kernels as the benchmarks call them: what is timed is right."""

from __future__ import annotations

from benchmarks.gpu_kernels import GpuKernels
from benchmarks.photo import astronaut, batch_of
from benchmarks.roofline import measured
from spit_edge import plugins


def test_timed_kernels_give_the_bits_of_the_cpu(library) -> None:
    images = batch_of(astronaut(224))
    labels, counts = plugins.superpixel_merge(images)
    with GpuKernels(library, images, int(counts[0])) as gpu:
        gpu.merge()
        gpu.features()
        assert gpu.labels().tobytes() == labels.tobytes()


def test_both_ops_are_timed(library) -> None:
    rows = list(measured(library, batch_of(astronaut(224)), 199, rounds=5))
    assert [row.what for row in rows] == ["SuperpixelMerge", "RegionFeatures"]
    assert all(row.median and row.p10 <= row.median <= row.p90 for row in rows)
