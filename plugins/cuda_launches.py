"""What the ops launch on a GPU, recorded without one.

The object of the kernels is linked with launch_recorder.cpp in place of the CUDA runtime: the
executor's own code runs, and every launch is written down.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from spit_edge.plugins.cuda_build import CudaBuildError, link_recorder, short_names


@dataclass(frozen=True)
class Launch:
    """One kernel launch: the phase it runs, the grid (blocks, rows of blocks), threads a block."""

    kernel: str
    blocks: tuple[int, int]
    threads: int


@dataclass(frozen=True)
class OpRun:
    """What one call of an op does: kernels in order, and the bytes of workspace it asks for."""

    launches: tuple[Launch, ...]
    workspace: int


class LaunchRecorder:
    """Runs the ops of an object that ``compile_object`` made; sizes are those of a whole batch."""

    def __init__(self, nvcc: Path, kernels: Path, program: Path) -> None:
        link_recorder(nvcc, kernels, program)
        self._program = program

    def superpixel_merge(
        self,
        batch: int,
        height: int,
        width: int,
        *,
        levels: int = 4,
        compactness: float = 0.0,
        final_threshold: float = 0.0,
    ) -> OpRun:
        numbers = (batch, height, width, levels, compactness, final_threshold)
        return self._record("merge", numbers)

    def region_features(
        self,
        batch: int,
        height: int,
        width: int,
        *,
        max_tokens: int = 256,
        bins: int = 16,
        gradient: bool = True,
        token_type: int = 0,
    ) -> OpRun:
        """``token_type`` is 0, 1, 2 for float32, float16, bfloat16."""
        numbers = (batch, height, width, max_tokens, bins, int(gradient), token_type)
        return self._record("features", numbers)

    def voronoi_tessellation(self, batch: int, height: int, width: int) -> OpRun:
        return self._record("voronoi", (batch, height, width))

    def _record(self, op: str, numbers: tuple[float, ...]) -> OpRun:
        command = [str(self._program), op, *(repr(number) for number in numbers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CudaBuildError(f"{op}{numbers}: {done.stderr.strip() or 'the recorder failed'}")
        first, *lines = done.stdout.splitlines()
        rows = [line.split() for line in lines]
        names = short_names(row[0] for row in rows)
        launches = tuple(Launch(names[n], (int(x), int(y)), int(t)) for n, x, y, t in rows)
        return OpRun(launches, int(first))


def every_launch(recorder: LaunchRecorder) -> dict[str, list[str]]:
    """Kernels each op launches in any of its configurations, in order of first use."""
    merges = [
        recorder.superpixel_merge(
            1, 64, 64, levels=levels, compactness=compactness, final_threshold=threshold
        )
        for levels in (4, 0)
        for threshold in (0.0, 0.1)
        for compactness in (0.0, 0.1)
    ]
    features = [recorder.region_features(1, 64, 64, token_type=kind) for kind in range(3)]
    runs = {
        "SuperpixelMerge": merges,
        "RegionFeatures": features,
        "VoronoiTessellation": [recorder.voronoi_tessellation(1, 64, 64)],
    }
    return {
        op: list(dict.fromkeys(launch.kernel for run in of_op for launch in run.launches))
        for op, of_op in runs.items()
    }
