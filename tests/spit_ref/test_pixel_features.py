"""Features of pixels: goldens, the specification in float64, ranges, and what pixels may mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.spit_ref.pixel_features import (
    IMAGENET_MEAN,
    base_features,
    pixel_features,
    positions,
    unit_pixels,
    vertex_features,
)
from tests.goldens import FeatureCase, as_batch, feature_cases
from tests.photographs import DEGENERATE, flat, noise, photograph

Array = NDArray[np.float64]


def channels_last(features: Tensor) -> Array:
    return features[0].double().numpy().transpose(1, 2, 0)


@pytest.mark.parametrize("case", feature_cases(), ids=lambda case: case.name)
def test_goldens_are_met(case: FeatureCase) -> None:
    features = pixel_features(unit_pixels(as_batch(case.pixels), "uint8"))
    assert np.abs(channels_last(base_features(features)) - case.base).max() <= 1e-5
    assert np.abs(channels_last(vertex_features(features)) - case.vertex).max() <= 5e-5


def specified_base(unit: Array) -> Array:
    """docs/algorithm.md, section 1, in float64: [H, W, 3] to [H, W, 7]."""
    height, width, _ = unit.shape
    features = np.empty((height, width, 7))
    parameters = [(0.485, 0.539), (0.456, 0.507), (0.406, 0.404)]
    for channel, (mu, lam) in enumerate(parameters):
        beta = -np.log(2) / np.log(1 - mu**lam)
        features[..., channel] = 2 * (1 - (1 - unit[..., channel] ** lam) ** beta) - 1
    smooth = np.array([3, 10, 3]) / 16
    grey = np.pad(unit.mean(axis=2), 1, mode="edge")
    for i in range(height):
        for j in range(width):
            patch = grey[i : i + 3, j : j + 3]
            down, right = patch[2] - patch[0], patch[:, 2] - patch[:, 0]
            gradient = np.array([down @ smooth, right @ smooth])
            features[i, j, 3:5] = 2 * np.array([i, j]) / max(height, width) - 1
            features[i, j, 5:7] = np.arcsinh(27.8 * gradient) / np.arcsinh(27.8)
    return features


def specified_vertex(base: Array) -> Array:
    """docs/algorithm.md, section 2, in float64: [H, W, 7] to [H, W, 4]."""
    weights = np.array([0.299, 0.587, 0.114])
    colour = (base[..., :3] + 1) / 2
    grey = (colour @ weights)[..., None]
    colour = np.clip(grey + 2.718 * (colour - grey), 0, 1)
    luma = colour @ weights
    blue, red = 0.564 * (colour[..., 2] - luma) + 0.5, 0.713 * (colour[..., 0] - luma) + 0.5
    u = np.arcsinh(10 * (2 * np.stack([luma, blue, red], axis=2) - 1)) / np.arcsinh(10)
    for _ in range(4):
        south, east = np.zeros_like(u), np.zeros_like(u)
        south[:-1], east[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
        south, east = (np.exp(-((d / 0.1) ** 2)) * d for d in (south, east))
        change = south + east
        change[1:] -= south[:-1]
        change[:, 1:] -= east[:, :-1]
        u = u + 0.5 * change
    longest = np.sqrt(2) * np.arcsinh(27.8 * 13 / 16) / np.arcsinh(27.8)
    length = 2 * np.linalg.norm(base[..., 5:7], axis=2) / longest - 1
    return np.concatenate([np.clip(u, -1, 1), length[..., None]], axis=2)


IMAGES = {
    **{name: image for name, image in DEGENERATE.items() if image.shape[-1] < 100},
    "photograph": photograph("astronaut", 48, 64),
}


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_the_specification_is_met(images: Tensor) -> None:
    base = specified_base(channels_last(images) / 255)
    features = pixel_features(unit_pixels(images, "uint8"))
    assert np.abs(channels_last(base_features(features)) - base).max() <= 1e-5
    assert np.abs(channels_last(vertex_features(features)) - specified_vertex(base)).max() <= 5e-5


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_ranges(images: Tensor) -> None:
    features = pixel_features(unit_pixels(images, "uint8"))
    assert float(features.contrast.min()) >= 0.0 and float(features.contrast.max()) <= 1.0
    assert float(features.colour.abs().max()) <= 1.0
    assert float(features.gradient.abs().max()) <= 1.0
    vertex = vertex_features(features)
    assert vertex.isfinite().all() and float(vertex.abs().max()) <= 1.0 + 1e-6
    assert vertex.shape == (1, 4, *images.shape[2:])
    assert base_features(features).shape == (1, 7, *images.shape[2:])


def test_contrast_keeps_black_and_white_and_lifts_the_mean_to_the_middle() -> None:
    unit = torch.tensor([[0.0] * 3, [1.0] * 3, IMAGENET_MEAN]).t().reshape(1, 3, 1, 3)
    contrast = pixel_features(unit).contrast[0, :, 0]
    assert contrast[:, 0].tolist() == [0.0] * 3 and contrast[:, 1].tolist() == [1.0] * 3
    assert contrast[:, 2].tolist() == pytest.approx([0.5] * 3, abs=1e-6)


def test_the_steepest_edge_has_length_one() -> None:
    images = flat(3, 3, 0)
    images[..., 2, :] = images[..., :, 2] = 255
    images[..., 0, 2] = images[..., 2, 0] = 128
    features = pixel_features(unit_pixels(images, "uint8"))
    gy, gx = features.gradient[0, :, 1, 1].tolist()
    assert gy == gx > 0.9
    assert float(vertex_features(features)[0, 3, 1, 1]) == pytest.approx(1.0, abs=1e-5)
    assert float(vertex_features(pixel_features(torch.rand(1, 3, 1, 1)))[0, 3]) == -1.0


def test_gradients_point_down_and_right() -> None:
    ramp = torch.arange(20, dtype=torch.uint8).view(1, 1, 20, 1).expand(1, 3, 20, 10) * 10
    down = pixel_features(unit_pixels(ramp, "uint8")).gradient
    right = pixel_features(unit_pixels(ramp.transpose(2, 3), "uint8")).gradient
    assert (down[:, 0] > 0).all() and not down[:, 1].any()
    assert torch.equal(right, down.flip(1).transpose(2, 3))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 8), (8, 3), (224, 224)])
def test_positions_run_along_the_longer_side(height: int, width: int) -> None:
    y, x = positions(height, width)
    assert y.shape == (height,) and x.shape == (width,)
    longer = y if height >= width else x
    steps = 2 * np.arange(len(longer)) / len(longer) - 1
    assert np.abs(longer.numpy() - steps).max() <= 1e-6
    assert float(y[0]) == float(x[0]) == -1.0 and float(longer[-1]) < 1.0


def test_uint8_pixels_are_divided_by_255() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    expected = torch.from_numpy((np.arange(256) / 255).astype(np.float32))
    for raw in (values, values.float()):
        unit = unit_pixels(raw.view(1, 1, 16, 16).expand(1, 3, -1, -1), "uint8")
        assert torch.equal(unit[0, 2].flatten(), expected)


def test_unit_pixels_stay_as_they_are() -> None:
    unit = torch.rand(2, 3, 4, 5)
    assert torch.equal(unit_pixels(unit, "unit"), unit)


def test_imagenet_pixels_are_mapped_back() -> None:
    unit = unit_pixels(noise(8, 8), "uint8")
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    back = unit_pixels((unit - mean) / std, "imagenet")
    assert torch.allclose(back, unit, atol=2e-7, rtol=0)
    assert float(back.min()) >= 0.0 and float(back.max()) <= 1.0
    assert not torch.allclose(unit_pixels(unit, "imagenet"), unit, atol=0.1)


@pytest.mark.parametrize("meaning", ["uint8", "unit", "imagenet"])
def test_pixels_that_are_no_colours_become_some(meaning: str) -> None:
    odd = [float("nan"), float("inf"), float("-inf"), 1e30, -1e30]
    raw = torch.tensor(odd).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    unit = unit_pixels(raw, meaning)  # type: ignore[arg-type]
    assert unit[0, 0, 0].tolist() == unit[0, 2, 0].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    features = pixel_features(unit)
    assert base_features(features).isfinite().all() and vertex_features(features).isfinite().all()
