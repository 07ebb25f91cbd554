"""Counts of the roofline sheet: against the reference's arithmetic, the recorded launches, and the
simulated GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import operation_counts as ops
from benchmarks import roofline
from benchmarks.gpu_kernels import GpuKernels
from benchmarks.gpus import GPUS, LAUNCH_SECONDS, Gpu
from benchmarks.kernel_traffic import (
    MergeCounts,
    Phase,
    Traffic,
    feature_traffic,
    merge_counts,
    merge_traffic,
    scored_edges,
)
from benchmarks.photo import astronaut, batch_of
from benchmarks.suite import Settings
from spit_edge import plugins
from spit_edge.base.contracts import REGION_FEATURES, SUPERPIXEL_MERGE
from spit_edge.plugins.cuda_launches import Launch, OpRun
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.spit_ref import exact
from tests.simulators.fake_tensorrt import FakeLibrary
from tests.simulators.gpu_rig import simulated_gpu

ARITHMETIC = ("add", "sub", "mul", "div", "sqrt", "rsub")


class FloatOperations(TorchDispatchMode):
    """Counts float additions, multiplications, divisions and roots, per value."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.rstrip("_")
        if name in ARITHMETIC and result.is_floating_point():
            self.count += result.numel()
        return result


def operations(function, *arguments) -> int:
    with FloatOperations() as counter:
        function(torch.full((1,), 0.3), *arguments)
    return counter.count


@pytest.mark.parametrize(
    ("function", "arguments", "counted"),
    [
        (exact.exp, (), ops.EXP),
        (exact.log, (), ops.LOG),
        (exact.asinh, (), ops.ASINH),
        (exact.power, (exact.Exponent.of(0.6),), ops.POWER),
    ],
)
def test_operations_are_those_of_the_reference(function, arguments, counted) -> None:
    assert operations(function, *arguments) == counted


def test_merge_counts_are_those_of_the_levels() -> None:
    images = batch_of(astronaut(48))
    counts = merge_counts(images)
    assert (
        counts.vertices[0] == 48 * 48 and counts.vertices[-1] == plugins.superpixel_merge(images)[1]
    )
    assert list(counts.vertices) == sorted(counts.vertices, reverse=True) and len(counts.edges) == 3
    checkers = np.indices((4, 4)).sum(0).astype(np.uint8) % 2 * 255
    # No level: every pair of neighbours is an edge of single pixels, 2 * 4 * 3 of them.
    assert merge_counts(np.stack([checkers] * 3)[None], levels=0) == MergeCounts((16,), ())


def test_edges_are_scored_once_a_side() -> None:
    """Two rectangles share one side; a checkerboard's pixels, of a vertex each, have all theirs."""
    halves = np.repeat([[0, 0, 1, 1]], 4, 0)[None].astype(np.int32)
    assert scored_edges(halves) == 1 == scored_edges(halves.transpose(0, 2, 1))
    assert scored_edges(np.arange(16, dtype=np.int32).reshape(1, 4, 4)) == 2 * 4 * 3
    # A step in the border: the side goes on below it, but no two pairs of it are neighbours.
    assert scored_edges(np.array([[[0, 0, 1], [0, 1, 1]]], np.int32)) == 3


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    made, reason = roofline.launch_recorder(tmp_path_factory.mktemp("recorder"))
    return made or pytest.skip(reason)


@pytest.mark.parametrize("size", [48, 224])
def test_phases_are_the_recorded_launches(recorder, size) -> None:
    images = batch_of(astronaut(size))
    counts = merge_counts(images)
    merge, features = merge_traffic(counts), feature_traffic(size * size, counts.vertices[-1], 0.05)
    roofline.check_phases(merge, recorder.record(SUPERPIXEL_MERGE, 1, size, size))
    roofline.check_phases(features, recorder.record(REGION_FEATURES, 1, size, size, max_tokens=99))
    with pytest.raises(ValueError, match="launches"):
        roofline.check_phases(merge, recorder.record(SUPERPIXEL_MERGE, 1, size, size, levels=3))


def test_rows_of_the_sheet(recorder, monkeypatch) -> None:
    monkeypatch.setattr(roofline, "launch_recorder", lambda _: (recorder, ""))
    rows = list(roofline.measure(Settings((48,), (), ("fp32",), rounds=1, threads=1)))
    counts = {row.variant: row.more for row in rows if row.what == "counts"}
    assert set(counts) == {"SuperpixelMerge", "RegionFeatures"}
    for op, figures in counts.items():
        assert figures["launches"] >= 3 and figures["MiB workspace"] > 0
        floors = [row.more["floor"] for row in rows if row.what == op and "floor" in row.more]
        assert len(floors) == len(GPUS) and min(floors) > 0


def test_other_launches_than_those_counted_are_refused() -> None:
    traffic = Traffic("Op", 1.0, (Phase("A", 1.0), Phase("B", 1.0)))
    launches = tuple(Launch(name, (1, 1), 256) for name in ("A<true, false>", "B<Pixels>"))
    roofline.check_phases(traffic, OpRun(launches, 0))
    with pytest.raises(ValueError, match="launches"):
        roofline.check_phases(traffic, OpRun(launches[::-1], 0))


def test_floor_is_the_longer_of_memory_and_arithmetic_behind_the_launches() -> None:
    phases = (Phase("A", 2e6, 0), Phase("B", 1e6, 6e6))
    device = Gpu("d", bandwidth=1e9, cores=1000, clock=1e6, source="")
    figures = roofline.floor(Traffic("Op", 1e6, phases), device)
    launches = 2e3 * LAUNCH_SECONDS
    assert figures["floor"] == pytest.approx(launches + 6.0)
    assert figures["without cache"] == pytest.approx(launches + 2.0 + 6.0)
    assert roofline.floor(Traffic("Op", 9e6, phases), device)["floor"] == pytest.approx(
        launches + 9
    )


def test_every_array_is_moved_at_least_once() -> None:
    counts = merge_counts(batch_of(astronaut(96)))
    for traffic in (merge_traffic(counts), feature_traffic(96 * 96, counts.vertices[-1], 0.05)):
        assert traffic.bytes > traffic.compulsory
        assert all(phase.bytes > 0 for phase in traffic.phases)
        for device in GPUS:
            figures = roofline.floor(traffic, device)
            assert 0 < figures["floor"] <= figures["without cache"]


def test_kernels_are_called_as_on_a_gpu(make_bundle) -> None:
    """On the simulated GPU, whose kernels are those of the CPU."""
    bundle = make_bundle()
    images = batch_of(astronaut(40))
    labels, counts = plugins.superpixel_merge(images)
    with simulated_gpu(bundle) as rig:
        library = TokenizerLibrary(FakeLibrary(rig.cuda, None))
        with GpuKernels(library, images, int(counts[0]), sigma=0.05) as gpu:
            gpu.merge()
            gpu.features()
            assert gpu.labels().tobytes() == labels.tobytes()
        rows = list(roofline.measured(library, images, int(counts[0]), rounds=2))
    assert [(row.what, row.size) for row in rows] == [
        ("SuperpixelMerge", 40),
        ("RegionFeatures", 40),
    ]
    assert all(row.median and row.variant.startswith("measured: ") for row in rows)


def test_without_nvcc_the_sheet_says_so(monkeypatch, tmp_path) -> None:
    def none() -> Path:
        raise roofline.CudaBuildError("no nvcc here")

    monkeypatch.setattr(roofline, "find_nvcc", none)
    assert roofline.launch_recorder(tmp_path) == (None, "no nvcc here")
