"""Bad arguments raise errors that name the op and the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spit_edge.plugins.native import ops

IMAGE = np.zeros((1, 3, 4, 5), dtype=np.uint8)
LABELS = np.zeros((1, 4, 5), dtype=np.int32)
COUNTS = np.ones(1, dtype=np.int32)


@pytest.mark.parametrize(
    ("images", "options", "error", "named"),
    [
        (IMAGE.astype(np.float64), {}, TypeError, "images"),
        (IMAGE.astype(">f4"), {}, TypeError, "images"),
        (IMAGE.astype(object), {}, TypeError, "images"),
        (torch.zeros(1, 3, 4, 5, dtype=torch.bfloat16), {}, TypeError, "images"),
        (torch.zeros(1, 3, 4, 5).to_sparse(), {}, TypeError, "images"),
        (IMAGE[0, 0], {}, ValueError, "images"),
        (IMAGE[None], {}, ValueError, "images"),
        (IMAGE[:, :2], {}, ValueError, "images"),
        (IMAGE, {"layout": "NHWC"}, ValueError, "images"),
        (IMAGE.transpose(0, 2, 3, 1), {"layout": "NCHW"}, ValueError, "images"),
        (IMAGE, {"layout": "HWC"}, ValueError, "layout"),
        (IMAGE[:0], {}, ValueError, "batch"),
        ([[1]], {}, TypeError, "images"),
        (np.broadcast_to(np.uint8(0), (1, 3, 2**14, 2**13)), {}, ValueError, "height"),
        (IMAGE, {"levels": -1}, ValueError, "levels"),
        (IMAGE, {"levels": 1.5}, TypeError, "levels"),
        (IMAGE, {"levels": 2**40}, ValueError, "levels"),
        (IMAGE, {"compactness": 1.1}, ValueError, "compactness"),
        (IMAGE, {"compactness": float("nan")}, ValueError, "compactness"),
        (IMAGE, {"final_threshold": -1.0}, ValueError, "final_threshold"),
        (IMAGE, {"final_threshold": float("inf")}, ValueError, "final_threshold"),
        (IMAGE, {"pixels": "unit"}, ValueError, "pixels"),
        (IMAGE, {"pixels": "rgb"}, ValueError, "pixels"),
        (IMAGE, {"threads": 0}, ValueError, "threads"),
        (IMAGE, {"threads": -2}, ValueError, "threads"),
        (IMAGE, {"executor": "gpu"}, ValueError, "executor"),
        (IMAGE, {"executor": None}, TypeError, "executor"),
        (IMAGE, {"compactness": "0.1"}, TypeError, "compactness"),
        (IMAGE, {"final_threshold": None}, TypeError, "final_threshold"),
        (IMAGE, {"final_threshold": 10**400}, ValueError, "final_threshold"),
        (IMAGE, {"pixels": 3}, TypeError, "pixels"),
    ],
)
def test_merge_arguments(
    images: Any, options: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=rf"SuperpixelMerge: {named}"):
        ops.superpixel_merge(images, **options)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"labels": LABELS[0]}, ValueError, "labels"),
        ({"labels": LABELS.astype(np.float32)}, TypeError, "labels"),
        ({"labels": LABELS + 1}, ValueError, "labels"),
        ({"labels": LABELS - 1}, ValueError, "labels"),
        ({"labels": LABELS.astype(np.int64) + 2**40}, ValueError, "labels"),
        ({"counts": COUNTS * 2}, ValueError, "labels"),
        ({"counts": COUNTS * 0}, ValueError, "counts"),
        ({"counts": COUNTS * 21}, ValueError, "counts"),
        ({"counts": np.ones(2, dtype=np.int32)}, ValueError, "counts"),
        ({"max_tokens": 0}, ValueError, "max_tokens"),
        ({"max_tokens": 2**26}, ValueError, "max_tokens"),
        ({"bins": 1}, ValueError, "bins"),
        ({"bins": 65}, ValueError, "bins"),
        ({"sigma": 0.0}, ValueError, "sigma"),
        ({"sigma": float("nan")}, ValueError, "sigma"),
        ({"interpolation": "cubic"}, ValueError, "interpolation"),
        ({"interpolation": 0}, TypeError, "interpolation"),
        ({"sigma": "0.1"}, TypeError, "sigma"),
        ({"gradient": "no"}, TypeError, "gradient"),
    ],
)
def test_feature_arguments(change: dict[str, Any], error: type[Exception], named: str) -> None:
    arguments: dict[str, Any] = {"labels": LABELS, "counts": COUNTS, "max_tokens": 3, **change}
    with pytest.raises(error, match=rf"RegionFeatures: {named}"):
        ops.region_features(IMAGE, **arguments)


@pytest.mark.parametrize(("height", "width"), [(0, 4), (4, -1), (2**20, 2**20)])
def test_voronoi_arguments(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"VoronoiTessellation: (height|width)"):
        ops.voronoi_tessellation(1, height, width)


@pytest.mark.parametrize("seeds", [1.5, None, "12", [1, 2.0], [[1]]])
def test_voronoi_seeds(seeds: Any) -> None:
    with pytest.raises(TypeError, match=r"VoronoiTessellation: seeds"):
        ops.voronoi_tessellation(seeds, 4, 5)


def test_voronoi_needs_a_seed() -> None:
    with pytest.raises(ValueError, match=r"VoronoiTessellation: seeds"):
        ops.voronoi_tessellation([], 4, 5)
