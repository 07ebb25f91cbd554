"""Token rows: goldens, a straightforward implementation, and bits that depend on nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.spit_ref import (
    region_features,
    square_tessellation,
    superpixel_merge,
    voronoi_tessellation,
)
from spit_edge.spit_ref.pixel_features import base_features, pixel_features, unit_pixels
from tests.goldens import TokenCase, as_batch, token_cases
from tests.photographs import flat, noise, photograph

Labels = NDArray[np.int64]


@pytest.fixture
def thread_counts() -> Iterator[None]:
    """A test may change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def counts_of(labels: Tensor) -> Tensor:
    return labels.flatten(1).amax(dim=1) + 1


def golden_tokens(case: TokenCase) -> Tensor:
    labels = torch.from_numpy(case.labels.astype(np.int32)).unsqueeze(0)
    return region_features(
        as_batch(case.pixels),
        labels,
        counts_of(labels),
        sigma=case.sigma,
        gradient=case.gradient,
        interpolation=case.interpolation,
    )


@pytest.mark.parametrize("case", token_cases(), ids=lambda case: case.name)
def test_goldens_are_met(case: TokenCase) -> None:
    tokens = golden_tokens(case)
    assert tokens.dtype == torch.float32 and tokens.shape == (1, *case.tokens.shape)
    assert np.abs(tokens[0].numpy() - case.tokens).max() <= 1e-4


def test_tokens_have_not_changed() -> None:
    """The goldens allow for other arithmetic; this does not.  A change of these bits breaks every
    bundle and kernel there is."""
    digest = hashlib.sha256()
    for case in token_cases():
        digest.update(golden_tokens(case).numpy().astype("<f4").tobytes())
    assert digest.hexdigest()[:32] == "351185724fe19c6597ce2909f9d7b4b8"


def straightforward(
    images: Tensor, labels: Labels, bins: int, sigma: float, gradient: bool, interpolation: str
) -> NDArray[np.float64]:
    """docs/algorithm.md, section 4, in float64, one cell at a time, for one image."""
    unit = unit_pixels(images, "uint8")
    features = base_features(pixel_features(unit))[0].double().numpy().transpose(1, 2, 0)
    return np.stack(
        [
            straightforward_row(features, labels == n, bins, sigma, gradient, interpolation)
            for n in range(labels.max() + 1)
        ]
    )


def straightforward_row(
    features: NDArray[np.float64],
    inside: NDArray[np.bool_],
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> NDArray[np.float64]:
    rows, columns = np.nonzero(inside)
    centres = [-1 + (2 * k + 1) / bins for k in range(bins)]
    sample = sample_nearest if interpolation == "nearest" else sample_bilinear
    pairs = [(3, 4), (5, 6)] if gradient else [(3, 4)]
    cells: list[float] = []
    for a in range(bins):
        for b in range(bins):
            # a (ymax - ymin) first: the exact middle between two pixels must stay exact.
            h = rows.min() + a * (rows.max() - rows.min()) / (bins - 1)
            w = columns.min() + b * (columns.max() - columns.min()) / (bins - 1)
            cells += sample(features[..., :3], inside, h, w).tolist()
            for first, second in pairs:
                f, g = features[inside][:, first], features[inside][:, second]
                square = (f - centres[a]) ** 2 + (g - centres[b]) ** 2
                cells.append(4 / inside.sum() * np.exp(-0.5 * square / sigma**2).sum())
    return np.array(cells)


def sample_nearest(
    colours: NDArray[np.float64], inside: NDArray[np.bool_], h: float, w: float
) -> NDArray[np.float64]:
    place = (int(np.rint(h)), int(np.rint(w)))
    return colours[place] * inside[place]


def sample_bilinear(
    colours: NDArray[np.float64], inside: NDArray[np.bool_], h: float, w: float
) -> NDArray[np.float64]:
    height, width = inside.shape
    top, left = int(np.floor(h)), int(np.floor(w))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    value, mask = np.zeros(3), 0.0
    for row, row_weight in ((top, 1 - (h - top)), (bottom, h - top)):
        for column, weight in ((left, 1 - (w - left)), (right, w - left)):
            value += colours[row, column] * row_weight * weight
            mask += inside[row, column] * row_weight * weight
    return value * mask


def dense(labels: Labels) -> Labels:
    """Numbered without gaps."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def assert_straightforward(images: Tensor, labels: Labels, **options: Any) -> None:
    batch = torch.from_numpy(labels).unsqueeze(0)
    tokens = region_features(images, batch, counts_of(batch), **options)
    expected = straightforward(images, labels, **options)
    assert tokens.shape == (1, *expected.shape)
    assert np.abs(tokens[0].numpy() - expected).max() <= 1e-4


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    regions=st.integers(1, 6),
    bins=st.integers(2, 17),
    sigma=st.sampled_from([0.025, 0.05, 0.3, 1.0]),
    gradient=st.booleans(),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
    seed=st.integers(0, 10_000),
)
def test_the_straightforward_implementation_agrees(
    height: int, width: int, regions: int, seed: int, **options: Any
) -> None:
    """Labels are scattered, so regions fall apart, overlap in their boxes and touch all borders."""
    labels = dense(np.random.default_rng(seed).integers(0, regions, (height, width)))
    assert_straightforward(noise(height, width, seed), labels, **options)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_single_pixels_and_borders(interpolation: str) -> None:
    labels = np.full((6, 9), 1)
    labels[0, 0], labels[5, 8], labels[0, 8], labels[3, 4] = 0, 2, 3, 4
    labels[5, :8], labels[1:5, 8] = 5, 6
    options = {"bins": 5, "sigma": 0.1, "gradient": True, "interpolation": interpolation}
    assert_straightforward(noise(6, 9), labels, **options)


def test_a_pixel_per_region() -> None:
    labels = np.arange(20).reshape(4, 5)
    images = noise(4, 5)
    options = {"bins": 4, "sigma": 0.2, "gradient": True, "interpolation": "bilinear"}
    assert_straightforward(images, labels, **options)
    batch = torch.from_numpy(labels).unsqueeze(0)
    cells = region_features(images, batch, counts_of(batch), bins=4)[0].view(20, 16, 5)
    colour = pixel_features(unit_pixels(images, "uint8")).colour[0].flatten(1).t()
    assert torch.equal(cells[:, :, :3], colour.unsqueeze(1).expand(-1, 16, -1))


@pytest.mark.parametrize("bins", [3, 5, 17])
def test_nearest_rounds_half_to_even(bins: int) -> None:
    """A box of K / 2 pixels has every second sample exactly between two pixels."""
    side = (bins - 1) // 2 + 1
    images = noise(side, side)
    labels = torch.zeros(1, side, side, dtype=torch.int64)
    tokens = region_features(
        images, labels, counts_of(labels), bins=bins, gradient=False, interpolation="nearest"
    )
    even = [a // 2 if a % 2 == 0 or (a // 2) % 2 == 0 else a // 2 + 1 for a in range(bins)]
    assert even[:3] == [0, 0, 1] and even != [(a + 1) // 2 for a in range(bins)]
    colour = pixel_features(unit_pixels(images, "uint8")).colour[0]
    expected = colour[:, even][:, :, even].permute(1, 2, 0)
    assert torch.equal(tokens.view(bins, bins, 4)[..., :3], expected)


def test_cells_hold_colours_then_histograms() -> None:
    """A flat image: the gradient histogram has its peak in the middle, positions are spread."""
    labels = torch.zeros(1, 48, 48, dtype=torch.int32)
    one = torch.tensor([1])
    cells = region_features(flat(48, 48), labels, one, bins=3, sigma=0.1)[0].view(3, 3, 5)
    assert cells[..., :3].flatten(0, 1).unique(dim=0).shape[0] == 1
    assert cells[1, 1, 4] == 4.0
    assert float(cells[..., 4].sum()) == pytest.approx(4.0, abs=1e-4)
    assert (cells[..., 3] > 0.01).all() and float(cells[..., 3].max()) < 1.0
    plain = region_features(flat(48, 48), labels, one, bins=3, sigma=0.1, gradient=False)
    assert torch.equal(plain[0].view(3, 3, 4), cells[..., :4])


def test_rows_beyond_the_count_are_zero_and_max_tokens_cuts() -> None:
    images = torch.cat([photograph("coffee", 48, 64), noise(48, 64)])
    few, few_counts = square_tessellation(48, 64)
    many, many_counts = square_tessellation(48, 64, 8)
    labels, counts = torch.cat([few, many]), torch.cat([few_counts, many_counts])
    assert counts.tolist() == [12, 48]
    tokens = region_features(images, labels, counts)
    assert tokens.shape == (2, 48, 1280)
    assert not tokens[0, 12:].any()
    assert tokens[0, :12].any(dim=1).all() and tokens[1].any(dim=1).all()
    for budget in (1, 12, 20, 47, 48, 60):
        cut = region_features(images, labels, counts, max_tokens=budget)
        shared = min(budget, 48)
        assert cut.shape == (2, budget, 1280)
        assert torch.equal(cut[:, :shared], tokens[:, :shared]) and not cut[:, shared:].any()


def test_any_place_in_a_batch_gives_the_same_bits() -> None:
    images = torch.cat(
        [
            photograph("astronaut", 60, 80),
            flat(60, 80),
            noise(60, 80),
            photograph("coffee", 60, 80),
            flat(60, 80, 0),
        ]
    )
    labels, counts = superpixel_merge(images)
    alone = region_features(images[:1], labels[:1], counts[:1])
    for place in range(5):
        tokens = region_features(images.roll(place, 0), labels.roll(place, 0), counts.roll(place))
        assert torch.equal(tokens[place, : counts[0]], alone[0])


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_threads_and_repeats_give_the_same_bits(thread_counts: None, interpolation: Any) -> None:
    images = photograph("astronaut", 96, 128)
    labels, counts = superpixel_merge(images)
    torch.set_num_threads(1)
    first = region_features(images, labels, counts, interpolation=interpolation)
    torch.set_num_threads(2)
    for _ in range(20 if interpolation == "bilinear" else 2):
        again = region_features(images, labels, counts, interpolation=interpolation)
        assert torch.equal(first, again)


def test_a_region_of_more_pixels_than_one_chunk() -> None:
    """Histograms are summed in pieces of 2^16 pixels; the sums must be those of one piece."""
    images = noise(270, 260)
    labels = torch.zeros(1, 270, 260, dtype=torch.int32)
    tokens = region_features(images, labels, torch.tensor([1]), bins=2, sigma=0.5)
    expected = straightforward(images, labels[0].numpy(), 2, 0.5, True, "bilinear")
    assert np.abs(tokens[0].numpy() - expected).max() <= 1e-4


def test_numbers_of_regions_only_order_the_rows() -> None:
    images = photograph("chelsea", 40, 50)
    labels, counts = voronoi_tessellation(3, 40, 50)
    order = torch.randperm(int(counts), generator=torch.Generator().manual_seed(0))
    tokens = region_features(images, labels, counts)
    renamed = region_features(images, order[labels.long()], counts)
    assert torch.equal(renamed[0, order], tokens[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_types_of_labels_and_images_make_no_difference(dtype: torch.dtype) -> None:
    images = photograph("chelsea", 40, 50)
    labels, counts = voronoi_tessellation(3, 40, 50)
    expected = region_features(images, labels, counts)
    unit = torch.from_numpy((images.numpy() / 255.0).astype(np.float32))
    assert torch.equal(region_features(images, labels.to(dtype), counts.to(dtype)), expected)
    assert torch.equal(region_features(unit, labels, counts), expected)


GOOD = torch.tensor([[[0, 0, 1], [2, 2, 1]]])
THREE = torch.tensor([3])


@pytest.mark.parametrize(
    ("labels", "counts", "message"),
    [
        (GOOD * 2, THREE, r"labels of image 0 must be 0\.\.\.2 without gaps.*3 values from 0 to 4"),
        (GOOD * 2, torch.tensor([5]), "without gaps, but are 3 values from 0 to 4"),
        (GOOD + 1, THREE, "from 1 to 3"),
        (GOOD - 1, THREE, "from -1 to 1"),
        (GOOD, torch.tensor([2]), r"must be 0\.\.\.1 without gaps, but are 3 values"),
        (GOOD, torch.tensor([4]), r"must be 0\.\.\.3 without gaps, but are 3 values"),
        (GOOD, torch.tensor([0]), "without gaps"),
        (GOOD.float(), THREE, "labels must be integers .* not torch.float32"),
        (GOOD[0], THREE, r"labels must be integers \[1, 2, 3\], not torch.int64 \[2, 3\]"),
        (GOOD.transpose(1, 2), THREE, r"labels must be integers \[1, 2, 3\], .* \[1, 3, 2\]"),
        (GOOD.expand(2, -1, -1), THREE, "labels must be integers"),
        (GOOD, THREE.float(), r"counts must be integers \[1\], not torch.float32"),
        (GOOD, torch.tensor([3, 3]), r"counts must be integers \[1\], .* \[2\]"),
        (GOOD, torch.tensor(3), "counts must be integers"),
    ],
)
def test_bad_labels_are_refused(labels: Tensor, counts: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        region_features(noise(2, 3), labels, counts)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.0},
        {"sigma": -1.0},
        {"sigma": 20.0},
        {"bins": 100},
        {"sigma": float("nan")},
        {"bins": 1},
        {"bins": 0},
        {"interpolation": "cubic"},
        {"max_tokens": 0},
        {"max_tokens": -3},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=name) as refusal:
        region_features(noise(2, 3), GOOD, THREE, **options)
    assert (value if isinstance(value, str) else f"{value:g}") in str(refusal.value)


def test_the_wrong_image_of_a_batch_is_named() -> None:
    labels = torch.cat([GOOD, GOOD + 1])
    with pytest.raises(ValueError, match="labels of image 1"):
        region_features(noise(2, 3).expand(2, -1, -1, -1), labels, torch.tensor([3, 3]))
