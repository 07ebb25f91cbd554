"""The kernels alone, through the library's C functions: the bits of the CPU's kernels."""

from __future__ import annotations

import numpy as np
import pytest

from spit_edge import plugins
from spit_edge.runtime.cuda.kernels import (
    FLOAT32,
    INTERPOLATIONS,
    SpitFeatures,
    SpitMerge,
    SpitVoronoi,
)
from spit_edge.runtime.cuda.op_runs import OpRuns, images_on_gpu

SIZES = [(1, 1), (1, 70), (37, 3), (96, 128), (224, 224), (513, 257)]


def pictures(height: int, width: int) -> np.ndarray:
    """Noise, a gradient, one colour and blocks, uint8 [4, 3, height, width]."""
    random = np.random.default_rng(height * width)
    noise = random.integers(0, 256, (3, height, width), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), noise.shape)
    flat = np.full_like(noise, 77)
    blocks = noise[:, np.arange(height) // 8 * 8][:, :, np.arange(width) // 8 * 8]
    return np.stack([noise, ramp, flat, blocks])


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("compactness", "final_threshold"), [(0.0, 0.0), (0.25, 0.5)])
def test_superpixels(library, height, width, compactness, final_threshold) -> None:
    images = pictures(height, width)
    choices = {"levels": 4, "compactness": compactness, "final_threshold": final_threshold}
    wanted = plugins.superpixel_merge(images, **choices)
    with OpRuns() as gpu:
        labels = gpu.array((4, height, width), np.int32)
        counts = gpu.array((4,), np.int32)
        places = {"labels": labels.address, "counts": counts.address}
        gpu.run(library, SpitMerge(images=images_on_gpu(gpu.given(images)), **choices, **places))
        assert gpu.values(labels).tobytes() == wanted[0].tobytes()
        assert gpu.values(counts).tobytes() == wanted[1].tobytes()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("gradient", [0, 1])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_tokens(library, height, width, gradient, interpolation) -> None:
    images = pictures(height, width)
    labels, counts = plugins.superpixel_merge(images)
    slots = max(1, int(counts.max()) - 2)  # some regions get no row
    wanted = plugins.region_features(
        images,
        labels,
        counts,
        max_tokens=slots,
        gradient=bool(gradient),
        interpolation=interpolation,
    )
    with OpRuns() as gpu:
        tokens = gpu.array(wanted.shape, np.float32)
        features = SpitFeatures(
            images=images_on_gpu(gpu.given(images)),
            labels=gpu.given(labels).address,
            counts=gpu.given(counts).address,
            max_tokens=slots,
            bins=16,
            sigma=0.025,
            gradient=gradient,
            interpolation=INTERPOLATIONS[interpolation],
            token_type=FLOAT32,
            tokens=tokens.address,
        )
        for _ in range(3):
            gpu.run(library, features)
            assert gpu.values(tokens).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("pixels", ["uint8", "unit", "imagenet"])
def test_float_pixels(library, pixels) -> None:
    random = np.random.default_rng(1)
    images = random.normal(0.4, 0.5, (2, 3, 64, 48)).astype(np.float32)
    images *= 255 if pixels == "uint8" else 1
    images[0, 0, :4] = np.nan
    wanted = plugins.superpixel_merge(images, pixels=pixels)
    with OpRuns() as gpu:
        labels = gpu.array((2, 64, 48), np.int32)
        counts = gpu.array((2,), np.int32)
        places = {"labels": labels.address, "counts": counts.address}
        given = images_on_gpu(gpu.given(images), pixels)
        gpu.run(library, SpitMerge(images=given, levels=4, **places))
        assert gpu.values(labels).tobytes() == wanted[0].tobytes()
        assert gpu.values(counts).tobytes() == wanted[1].tobytes()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cells(library, height, width) -> None:
    seeds = np.array([0, -1, 2**62], np.int64)
    wanted = plugins.voronoi_tessellation(seeds.tolist(), height, width)
    with OpRuns() as gpu:
        labels = gpu.array((3, height, width), np.int32)
        counts = gpu.array((3,), np.int32)
        places = (labels.address, counts.address)
        gpu.run(library, SpitVoronoi(gpu.given(seeds).address, 3, height, width, *places))
        assert gpu.values(labels).tobytes() == wanted[0].tobytes()
        assert gpu.values(counts).tobytes() == wanted[1].tobytes()
