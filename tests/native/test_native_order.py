"""The order of execution cannot matter: work items shuffled and interleaved give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugins.native import ops

SEEDS = 200


def small_images() -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:9, :11]
    return {
        "noise": rng.integers(0, 256, (1, 3, 9, 11), dtype=np.uint8),
        "flat": np.full((1, 3, 7, 8), 90, dtype=np.uint8),
        "ramp": np.broadcast_to((x * 9 + y).astype(np.uint8), (1, 3, 9, 11)).copy(),
        "checker": np.broadcast_to(((x + y) % 2 * 255).astype(np.uint8), (1, 3, 9, 11)).copy(),
    }


@pytest.mark.parametrize("name", sorted(small_images()))
def test_shuffled_merge(name: str) -> None:
    image = small_images()[name]
    for options in ({}, {"compactness": 0.1, "final_threshold": 0.2}):
        labels, counts = ops.superpixel_merge(image, threads=1, **options)
        for seed in range(SEEDS // 4):
            found = ops.superpixel_merge(image, executor="shuffled", seed=seed, **options)
            np.testing.assert_array_equal(found[0], labels)
            np.testing.assert_array_equal(found[1], counts)


@pytest.mark.parametrize("name", sorted(small_images()))
def test_shuffled_features(name: str) -> None:
    image = small_images()[name]
    labels, counts = ops.superpixel_merge(image, levels=2, threads=1)
    expected = ops.region_features(image, labels, counts, threads=1, bins=8, sigma=0.1)
    for seed in range(SEEDS // 20):
        found = ops.region_features(
            image, labels, counts, executor="shuffled", seed=seed, bins=8, sigma=0.1
        )
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


def test_shuffled_voronoi() -> None:
    labels, counts = ops.voronoi_tessellation([1, 2], 9, 12, threads=1)
    for seed in range(SEEDS // 4):
        found = ops.voronoi_tessellation([1, 2], 9, 12, executor="shuffled", seed=seed)
        np.testing.assert_array_equal(found[0], labels)
        np.testing.assert_array_equal(found[1], counts)
