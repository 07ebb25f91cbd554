"""The native ops give the bits of ``spit_ref``, whoever runs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spit_edge.plugins.native import ops
from spit_edge.spit_ref.pixel_features import Pixels, pixel_features, unit_pixels, vertex_features
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import merge_vertices
from spit_edge.spit_ref.tessellation import voronoi_tessellation
from tests.plugins.native.native_images import golden_images

GOLDENS = golden_images()
THREADS = (1, 2, 7)
OPTIONS = [
    {},
    {"compactness": 0.1},
    {"compactness": 1.0, "levels": 2},
    {"final_threshold": 0.1},
    {"levels": 1},
    {"levels": 0, "final_threshold": 0.05},
    {"levels": 6, "compactness": 0.5, "final_threshold": 0.3},
]
SHAPES = [(h, w) for h in (1, 2, 3, 5, 8, 16, 33) for w in (1, 2, 4, 7, 17, 31, 64)]
LARGE = [(65, 257), (127, 300), (300, 64), (480, 640), (1000, 7), (1500, 1000)]


def reference_merge(images: torch.Tensor, pixels: Pixels, **options: Any) -> tuple[Any, Any]:
    """Without the reference's check of values: kernels take any and clip."""
    chosen = {"levels": 4, "compactness": 0.0, "final_threshold": 0.0, **options}
    features = vertex_features(pixel_features(unit_pixels(images, pixels)))
    labels, counts = merge_vertices(features, **chosen)
    return labels.numpy(), counts.numpy()


def assert_same_bits(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if actual.dtype == np.float32:
        actual, expected = actual.view(np.int32), expected.view(np.int32)
    np.testing.assert_array_equal(actual, expected)


def assert_merge(images: NDArray[Any], pixels: Pixels = "uint8", **options: Any) -> None:
    labels, counts = reference_merge(torch.from_numpy(images), pixels, **options)
    for threads in THREADS:
        found = ops.superpixel_merge(
            images, pixels=pixels, layout="NCHW", threads=threads, **options
        )
        assert_same_bits(found[1], counts)
        assert_same_bits(found[0], labels)


def assert_features(images: NDArray[np.uint8], **options: Any) -> None:
    labels, counts = ops.superpixel_merge(images, layout="NCHW")
    expected = region_features(
        torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(counts), **options
    )
    for threads in THREADS:
        tokens = ops.region_features(
            images, labels, counts, layout="NCHW", threads=threads, **options
        )
        assert_same_bits(tokens, expected.numpy())


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def gradient_image(batch: int, height: int, width: int) -> NDArray[np.uint8]:
    """Smooth, with long flat stretches: many ties."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y * 200 // height, x * 200 // width, (x + y) // 9 % 256]).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (batch, 3, height, width)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", sorted(GOLDENS))
def test_merge_of_golden_images(name: str, options: dict[str, Any]) -> None:
    assert_merge(GOLDENS[name], **options)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_merge_of_every_shape(shape: tuple[int, int]) -> None:
    for options in OPTIONS[:4]:
        assert_merge(noise(2, 3, *shape), **options)
    assert_merge(gradient_image(1, *shape))


@pytest.mark.slow
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_large_shapes(shape: tuple[int, int]) -> None:
    smooth = gradient_image(1, *shape)
    assert_merge(noise(1, 3, *shape))
    assert_merge(smooth, compactness=0.1)
    assert_features(smooth)


@pytest.mark.parametrize("pixels", ["uint8", "unit", "imagenet"])
def test_float_images_with_anything_in_them(pixels: Pixels) -> None:
    rng = np.random.default_rng(1)
    scale = {"uint8": 255.0, "unit": 1.0, "imagenet": 2.0}[pixels]
    images = (rng.standard_normal((2, 3, 37, 41)) * scale).astype(np.float32)
    special = (np.nan, np.inf, -np.inf, -0.0, 1e-41)
    for i, value in enumerate(special):
        images[:, :, i::17, i::5] = value
    assert_merge(images, pixels)
    assert_merge(images, pixels, compactness=0.1)


@pytest.mark.parametrize("batch", range(1, 9))
def test_batches(batch: int) -> None:
    assert_merge(noise(batch, 3, 24, 19, seed=batch))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("name", sorted(GOLDENS))
def test_features_of_golden_images(name: str, gradient: bool, interpolation: str) -> None:
    assert_features(GOLDENS[name], gradient=gradient, interpolation=interpolation)


@pytest.mark.parametrize("sigma", [1e-3, 0.025, 0.05, 0.3, 10.0])
@pytest.mark.parametrize("bins", [2, 3, 16, 33])
def test_features_with_other_bins_and_bandwidths(bins: int, sigma: float) -> None:
    assert_features(noise(2, 3, 40, 31), bins=bins, sigma=sigma)


@pytest.mark.parametrize("max_tokens", [1, 5, 400])
def test_features_with_a_token_budget(max_tokens: int) -> None:
    assert_features(noise(3, 3, 32, 48), max_tokens=max_tokens)


@pytest.mark.parametrize("shape", SHAPES[::4], ids=str)
def test_features_of_every_shape(shape: tuple[int, int]) -> None:
    assert_features(noise(2, 3, *shape))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (40, 30), (100, 71), (224, 224)])
def test_voronoi(shape: tuple[int, int]) -> None:
    seeds = [0, 1, -2, 2**63 - 1]
    labels, counts = voronoi_tessellation(seeds, *shape)
    for threads in THREADS:
        found = ops.voronoi_tessellation(seeds, *shape, threads=threads)
        assert_same_bits(found[0], labels.numpy())
        assert_same_bits(found[1], counts.numpy())


def test_torch_tensors_come_back_as_torch_tensors() -> None:
    images = torch.from_numpy(noise(1, 3, 20, 20))
    labels, counts = ops.superpixel_merge(images)
    tokens = ops.region_features(images, labels.long(), counts)
    assert all(isinstance(result, torch.Tensor) for result in (labels, counts, tokens))


def test_a_host_that_flushes_subnormal_numbers_changes_nothing() -> None:
    images = np.full((1, 3, 16, 16), 1e-39, dtype=np.float32)
    images[..., ::3] = 0.5
    expected = ops.superpixel_merge(images)[0]
    torch.set_flush_denormal(True)
    try:
        assert_same_bits(ops.superpixel_merge(images)[0], expected)
    finally:
        torch.set_flush_denormal(False)
