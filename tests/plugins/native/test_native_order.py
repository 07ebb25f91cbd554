"""The order of execution cannot matter: work items shuffled and interleaved give the bits of the
reference, for every seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spit_edge.plugins.native import ops
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import superpixel_merge
from spit_edge.spit_ref.tessellation import voronoi_tessellation

SEEDS = range(200)
COMPACTNESS = (None, 0.1, 1.0)
THRESHOLD = (0.0, 0.2, 0.0, 0.05)
LEVELS = (4, 1, 2, 6, 0)
BINS = (2, 5, 8)
SIGMA = (0.1, 0.025, 3.0)


def small_image(seed: int) -> NDArray[np.uint8]:
    """Noise, few colours, flat, ramp or checker; up to two images of at most 9 x 11."""
    rng = np.random.default_rng(seed)
    shape = (1 + seed % 7 // 6, 3, int(rng.integers(1, 10)), int(rng.integers(1, 12)))
    y, x = np.mgrid[: shape[2], : shape[3]]
    kinds = (
        rng.integers(0, 256, shape),
        rng.choice([0, 90, 91, 255], shape),
        np.full(shape, 90),
        x * 9 + y,
        (x + y) % 2 * 255,
    )
    image = np.broadcast_to(kinds[seed % 5].astype(np.uint8), shape)
    return image.copy()


def assert_same(
    found: tuple[NDArray[np.int32], ...], expected: tuple[torch.Tensor, ...], seed: int
) -> None:
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted.numpy(), err_msg=f"seed {seed}")


# In groups, so that a failure comes early.
@pytest.mark.parametrize("first", range(0, 200, 40))
def test_shuffled_merge(first: int) -> None:
    for seed in SEEDS[first : first + 40]:
        options: dict[str, Any] = {
            "compactness": COMPACTNESS[seed % 3],
            "final_threshold": THRESHOLD[seed % 4],
            "levels": LEVELS[seed // 5 % 5],
        }
        image = small_image(seed)
        expected = superpixel_merge(torch.from_numpy(image), **options)
        found = ops.superpixel_merge(
            image, layout="NCHW", executor="shuffled", seed=seed, **options
        )
        assert_same(found, expected, seed)


@pytest.mark.parametrize("first", range(0, 200, 40))
def test_shuffled_features(first: int) -> None:
    for seed in SEEDS[first : first + 40]:
        image = torch.from_numpy(small_image(seed))
        labels, counts = superpixel_merge(image, levels=1 + seed // 5 % 2)
        options: dict[str, Any] = {
            "gradient": seed % 2 == 0,
            "interpolation": ("bilinear", "nearest")[seed // 2 % 2],
            "bins": BINS[seed % 3],
            "sigma": SIGMA[seed // 3 % 3],
            "max_tokens": (None, 3)[seed // 4 % 2],
        }
        expected = region_features(image, labels, counts, **options)
        found = ops.region_features(
            image, labels, counts, layout="NCHW", executor="shuffled", seed=seed, **options
        )
        np.testing.assert_array_equal(
            found.numpy().view(np.int32), expected.numpy().view(np.int32), err_msg=f"seed {seed}"
        )


def test_shuffled_voronoi() -> None:
    for seed in SEEDS:
        height, width = 1 + seed % 9, 1 + seed * 5 % 12
        expected = voronoi_tessellation(-seed, height, width)
        found = ops.voronoi_tessellation(-seed, height, width, executor="shuffled", seed=seed)
        assert_same(found, expected, seed)
