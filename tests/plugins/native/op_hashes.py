"""Cases for the program ``op_hashes``, and the hashes of what the reference gives for them.

``python tests/plugins/native/op_hashes.py FILE`` writes FILE, for the program, and FILE.hashes:
what it has to print, on any processor and any number of threads.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.plugins.native import ops
from spit_edge.spit_ref.pixel_features import Pixels, pixel_features, unit_pixels, vertex_features
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import merge_vertices
from spit_edge.spit_ref.tessellation import voronoi_tessellation
from tests.plugins.native.native_images import golden_images, strange_floats

KINDS: tuple[Pixels, ...] = ("uint8", "unit", "imagenet")


@dataclass(frozen=True)
class OpCase:
    """Images [B, 3, H, W] uint8 or float32, and everything else the ops are called with."""

    images: NDArray[Any]
    pixels: Pixels = "uint8"
    levels: int = 4
    compactness: float = 0.0
    final_threshold: float = 0.0
    max_tokens: int = 300
    bins: int = 16
    sigma: float = 0.025
    gradient: bool = True
    nearest: bool = False
    seed: int = 1

    def packed(self) -> bytes:
        """As ``struct Case`` of the program, then the pixels."""
        batch, _, height, width = self.images.shape
        whole = (KINDS.index(self.pixels), batch, height, width, self.levels, self.max_tokens)
        flags = (self.bins, self.gradient, self.nearest, self.images.dtype == np.uint8)
        real = (self.compactness, self.final_threshold, self.sigma)
        head = struct.pack("<10i3dq", *whole, *flags, *real, self.seed)
        return head + self.images.tobytes()

    def reference(self) -> list[NDArray[Any]]:
        """Labels, counts, tokens, Voronoi cells and their counts."""
        images = torch.from_numpy(self.images)
        unit = unit_pixels(images, self.pixels)
        labels, counts = merge_vertices(
            vertex_features(pixel_features(unit)),
            levels=self.levels,
            compactness=self.compactness,
            final_threshold=self.final_threshold,
        )
        tokens = region_features(unit, labels, counts, **self.feature_options())
        cells, cell_counts = voronoi_tessellation(self.seeds(), *images.shape[2:])
        return [result.numpy() for result in (labels, counts, tokens, cells, cell_counts)]

    def native(self, threads: int) -> list[NDArray[Any]]:
        """The same from the native library."""
        labels, counts = ops.superpixel_merge(
            self.images,
            levels=self.levels,
            compactness=self.compactness,
            final_threshold=self.final_threshold,
            pixels=self.pixels,
            layout="NCHW",
            threads=threads,
        )
        tokens = ops.region_features(
            self.images,
            labels,
            counts,
            pixels=self.pixels,
            layout="NCHW",
            threads=threads,
            **self.feature_options(),
        )
        height, width = self.images.shape[2:]
        cells = ops.voronoi_tessellation(self.seeds(), height, width, threads=threads)
        return [labels, counts, tokens, *cells]

    def feature_options(self) -> dict[str, Any]:
        return {
            "max_tokens": self.max_tokens,
            "bins": self.bins,
            "sigma": self.sigma,
            "gradient": self.gradient,
            "interpolation": "nearest" if self.nearest else "bilinear",
        }

    def seeds(self) -> list[int]:
        return [self.seed + i for i in range(len(self.images))]


def line(results: list[NDArray[Any]]) -> str:
    """As the program prints it."""
    return "".join(f"{word_hash(result):016x} " for result in results)


def word_hash(array: NDArray[Any]) -> int:
    """Sum of the 32-bit words, each mixed with its place by the finalizer of SplitMix64."""
    words = np.frombuffer(array.tobytes(), dtype=np.uint32).astype(np.uint64)
    places = np.arange(len(words), dtype=np.uint64) << np.uint64(32)
    z = (words | places) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int((z ^ (z >> np.uint64(31))).sum(dtype=np.uint64))


def op_cases() -> list[OpCase]:
    """The golden images with many options, and small images with anything in them."""
    options: list[dict[str, Any]] = [
        {},
        {"compactness": 0.1, "gradient": False, "bins": 8, "seed": -5},
        {"final_threshold": 0.1, "nearest": True, "max_tokens": 20, "sigma": 0.3},
        {"levels": 6, "compactness": 0.5, "final_threshold": 0.3, "bins": 5, "sigma": 0.05},
    ]
    cases = [OpCase(image, **chosen) for image in golden_images().values() for chosen in options]
    rng = np.random.default_rng(7)
    for height, width in ((1, 1), (1, 9), (5, 1), (3, 4), (33, 17), (24, 70)):
        noise = rng.integers(0, 256, (2, 3, height, width), dtype=np.uint8)
        cases += [OpCase(noise, max_tokens=40, **chosen) for chosen in options[:2]]
        cases += [
            OpCase(strange_floats(rng, (2, 3, height, width), kind), kind, max_tokens=40)
            for kind in KINDS
        ]
    return cases


def main(path: Path) -> None:
    cases = op_cases()
    path.write_bytes(b"".join(case.packed() for case in cases))
    lines = [line(case.reference()) for case in cases]
    path.with_name(f"{path.name}.hashes").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
