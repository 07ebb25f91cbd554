"""Images and label maps that callers hand in: one clear error, or a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spit_edge.spit_ref import load_model, region_features, superpixel_merge
from spit_edge.spit_ref.image_input import checked_images, dense_labels
from spit_edge.spit_ref.tokenizer import Tokenizer
from spit_edge.spit_ref.zoo import model_config
from tests.photographs import noise, photograph

UNIT = torch.full((1, 3, 4, 5), 0.25)


def with_value(value: float) -> Tensor:
    images = UNIT.clone()
    images[0, 2, 3, 1] = value
    return images


BAD_IMAGES: dict[str, tuple[Any, type[Exception], str]] = {
    "nan": (with_value(float("nan")), ValueError, "NaN or infinite"),
    "inf": (with_value(float("inf")), ValueError, "NaN or infinite"),
    "minus_inf": (with_value(float("-inf")), ValueError, "NaN or infinite"),
    "above_one": (with_value(1.5), ValueError, r"must lie in \[0, 1\], but hold 0\.25\.\.\.1\.5"),
    "negative": (with_value(-0.5), ValueError, r"must lie in \[0, 1\], but hold -0\.5\.\.\.0\.25"),
    "float_255": (noise(4, 5).float(), ValueError, "give 0...255 as uint8"),
    "float64": (UNIT.double(), TypeError, "not torch.float64"),
    "float16": (UNIT.half(), TypeError, "not torch.float16"),
    "int64": (noise(4, 5).long(), TypeError, "not torch.int64"),
    "bool": (UNIT > 0, TypeError, "not torch.bool"),
    "one_channel": (UNIT[:, :1], ValueError, r"\[B, 3, H, W\], not \[1, 1, 4, 5\]"),
    "four_channels": (torch.zeros(1, 4, 4, 5), ValueError, r"not \[1, 4, 4, 5\]"),
    "channels_last": (UNIT.permute(0, 2, 3, 1), ValueError, r"not \[1, 4, 5, 3\]"),
    "three_axes": (UNIT[0], ValueError, r"\[B, 3, H, W\], not \[3, 4, 5\]"),
    "five_axes": (UNIT[None], ValueError, r"not \[1, 1, 3, 4, 5\]"),
    "no_axes": (torch.tensor(0.5), ValueError, r"not \[\]"),
    "no_height": (torch.zeros(1, 3, 0, 5), ValueError, r"not be empty, but are \[1, 3, 0, 5\]"),
    "no_width": (torch.zeros(1, 3, 4, 0), ValueError, r"not be empty, but are \[1, 3, 4, 0\]"),
    "no_images": (torch.zeros(0, 3, 4, 5), ValueError, r"not be empty, but are \[0, 3, 4, 5\]"),
    "numpy": (np.zeros((1, 3, 4, 5), np.uint8), TypeError, "torch tensor, not ndarray"),
    "list": ([[0.5]], TypeError, "torch tensor, not list"),
    "none": (None, TypeError, "torch tensor, not NoneType"),
    "too_large": (
        torch.zeros(1, 3, 1, 1, dtype=torch.uint8).expand(1, 3, 8192, 8193),
        ValueError,
        r"2\^26 pixels, not 8192 x 8193",
    ),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_are_refused_by_everything_that_takes_images(name: str) -> None:
    images, error, message = BAD_IMAGES[name]
    labels, counts = torch.zeros(1, 4, 5, dtype=torch.int32), torch.tensor([1])
    model = load_model("spit_tiny", weights="random")
    for take in (
        checked_images,
        superpixel_merge,
        lambda images: region_features(images, labels, counts),
        model,
    ):
        with pytest.raises(error, match=message) as refusal:
            take(images)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["vit_s16", "rvit_s16"])
def test_models_that_do_not_look_at_images_check_them_too(name: str) -> None:
    tokenizer = Tokenizer(model_config(name))
    for images, error, message in BAD_IMAGES.values():
        with pytest.raises(error, match=message):
            tokenizer.regions(images)


def test_good_images_become_unit_float32() -> None:
    for images in (noise(4, 5), UNIT, torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)):
        unit = checked_images(images)
        assert unit.dtype == torch.float32 and unit.shape == images.shape
        assert float(unit.min()) >= 0.0 and float(unit.max()) <= 1.0
    assert torch.equal(checked_images(UNIT), UNIT)


@pytest.mark.filterwarnings("error")
def test_images_may_want_gradients() -> None:
    """As they do in adversarial training; labels do not have any."""
    unit = photograph("coffee", 24, 24) / 255.0
    expected = superpixel_merge(unit)
    labels, counts = superpixel_merge(unit.clone().requires_grad_())
    assert torch.equal(labels, expected[0]) and torch.equal(counts, expected[1])
    assert not labels.requires_grad


@pytest.mark.parametrize("pixels", ["uint8", "unit", "imagenet"])
def test_ops_of_a_graph_give_a_result_for_any_pixels(pixels: Any) -> None:
    """A graph cannot refuse its input."""
    images = noise(12, 16).float()
    images[0, 0, :4] = float("nan")
    images[0, 1, 4:8] = float("inf")
    images[0, 2, 8:] = -1e30
    labels, counts = superpixel_merge(
        images, pixels=pixels, levels=4, compactness=0.1, final_threshold=0.0
    )
    tokens = region_features(
        images,
        labels,
        counts,
        pixels=pixels,
        max_tokens=8,
        bins=4,
        sigma=0.1,
        gradient=True,
        interpolation="bilinear",
    )
    assert sorted(labels.unique().tolist()) == list(range(int(counts)))
    assert tokens.shape == (1, 8, 80) and tokens.isfinite().all()


def test_ops_of_a_graph_compute_what_the_functions_compute() -> None:
    images = photograph("coffee", 40, 56)
    labels, counts = superpixel_merge(images, compactness=0.1)
    tokens = region_features(images, labels, counts)
    for raw, pixels in ((images.float(), "uint8"), (images / torch.full((), 255.0), "unit")):
        of_op = superpixel_merge(raw, pixels=pixels, levels=4, compactness=0.1, final_threshold=0.0)
        assert torch.equal(of_op[0], labels) and torch.equal(of_op[1], counts)
        rows = region_features(
            raw,
            labels,
            counts,
            pixels=pixels,
            max_tokens=int(counts),
            bins=16,
            sigma=0.025,
            gradient=True,
            interpolation="bilinear",
        )
        assert torch.equal(rows, tokens)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0, 0], [1, 2]], [[0, 0], [1, 2]]),
        ([[2, 2], [1, 0]], [[0, 0], [1, 2]]),
        ([[-5, 7], [-5, 100]], [[0, 1], [0, 2]]),
        ([[2**62, -(2**62)], [0, 2**62]], [[0, 1], [2, 0]]),
        ([[9, 9], [9, 9]], [[0, 0], [0, 0]]),
        ([[3, 1], [1, 3]], [[0, 1], [1, 0]]),
    ],
)
def test_dense_labels_number_by_first_pixel(
    labels: list[list[int]], expected: list[list[int]]
) -> None:
    found, counts = dense_labels(torch.tensor([labels]))
    assert found.tolist() == [expected]
    assert counts.tolist() == [max(map(max, expected)) + 1]
    assert found.dtype == counts.dtype == torch.int32


def test_dense_labels_of_a_batch_are_those_of_each_image() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(-50, 50, (4, 9, 7), generator=generator)
    found, counts = dense_labels(labels)
    for index in range(4):
        alone, count = dense_labels(labels[index : index + 1])
        assert torch.equal(found[index], alone[0]) and counts[index] == count
        values, first = np.unique(found[index].numpy(), return_index=True)
        assert values.tolist() == list(range(int(count))) and (np.diff(first) > 0).all()
        pairs = torch.stack([labels[index].flatten(), found[index].flatten()]).unique(dim=1)
        assert pairs.shape[1] == int(count), "regions were joined or torn apart"
    again, _ = dense_labels(found)
    assert torch.equal(again, found)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int64, torch.bool])
def test_dense_labels_take_any_integers(dtype: torch.dtype) -> None:
    labels = torch.tensor([[[1, 0, 1], [0, 0, 1]]]).to(dtype)
    assert dense_labels(labels)[0].tolist() == [[[0, 1, 0], [1, 1, 0]]]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (torch.zeros(1, 2, 2), ValueError, r"integers \[B, H, W\], not torch.float32"),
        (
            torch.zeros(2, 2, dtype=torch.int64),
            ValueError,
            r"not torch.int64 \[2, 2\]",
        ),
        (torch.zeros(1, 0, 2, dtype=torch.int64), ValueError, r"\[1, 0, 2\]"),
        (np.zeros((1, 2, 2), np.int64), TypeError, "torch tensor, not ndarray"),
        ([[[0]]], TypeError, "torch tensor, not list"),
    ],
)
def test_bad_label_maps_are_refused(labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dense_labels(labels)


@pytest.mark.parametrize("position", [1, 2])
def test_region_features_wants_tensors(position: int) -> None:
    arguments: list[Any] = [noise(2, 2), torch.zeros(1, 2, 2, dtype=torch.int32), torch.tensor([1])]
    arguments[position] = arguments[position].numpy()
    with pytest.raises(TypeError, match="torch tensor"):
        region_features(*arguments)
