"""The seam between the ops and what computes them outside TensorRT: the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.contracts import ContractError
from spit_edge.plugins.native import ops

Arrays = tuple[NDArray[Any], ...]
Implementation = Callable[..., Arrays]
"""Takes the op's inputs as arrays, its attributes by name, and ``threads``; gives its outputs."""


def superpixel_merge(images: NDArray[np.float32], **attributes: Any) -> Arrays:
    """The op SuperpixelMerge."""
    return ops.superpixel_merge(images, **attributes)


def region_features(
    images: NDArray[np.float32],
    labels: NDArray[np.int32],
    counts: NDArray[np.int32],
    **attributes: Any,
) -> Arrays:
    """The op RegionFeatures; tokens are float32."""
    if (wanted := attributes.pop("token_type", "float32")) != "float32":
        raise ContractError(f"RegionFeatures gives {wanted} tokens in TensorRT only")
    attributes["gradient"] = bool(attributes["gradient"])
    return (ops.region_features(images, labels, counts, **attributes),)


def voronoi_tessellation(
    seeds: NDArray[np.int64], *, height: int, width: int, threads: int | None = None
) -> Arrays:
    """The op VoronoiTessellation."""
    return ops.voronoi_tessellation(seeds.tolist(), height, width, threads=threads)


IMPLEMENTATIONS: dict[str, Implementation] = {
    "SuperpixelMerge": superpixel_merge,
    "RegionFeatures": region_features,
    "VoronoiTessellation": voronoi_tessellation,
}
