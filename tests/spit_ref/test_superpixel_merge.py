"""Superpixels: goldens, invariants, bits that depend on nothing, and a naive implementation."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from spit_edge.spit_ref import superpixel_merge
from spit_edge.spit_ref.pixel_features import pixel_features, unit_pixels, vertex_features
from spit_edge.spit_ref.superpixel_merge import merge_hierarchy
from tests.goldens import PartitionCase, adjusted_rand_index, as_batch, partition_cases
from tests.photographs import DEGENERATE, checkerboard, flat, noise, photograph

CASES = partition_cases()
SYNTHETIC = [case for case in CASES if not case.is_photograph]
OPTIONS: list[dict[str, Any]] = [{}, {"compactness": 0.1}, {"final_threshold": 0.1}]


@pytest.fixture
def thread_counts() -> Iterator[None]:
    """A test may change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def vertices(images: Tensor) -> Tensor:
    return vertex_features(pixel_features(unit_pixels(images, "uint8")))


def five_images(height: int, width: int) -> Tensor:
    """A batch of five different images of one size."""
    return torch.cat(
        [
            photograph("astronaut", height, width),
            noise(height, width),
            flat(height, width),
            photograph("chelsea", height, width),
            flat(height, width, 0),
        ]
    )


def assert_partition(labels: Tensor, count: int) -> None:
    """0...count-1 in raster order of first pixels, and every region 4-connected."""
    found, first = np.unique(labels.numpy(), return_index=True)
    assert found.tolist() == list(range(count))
    assert (np.diff(first) > 0).all()
    for region in range(count):
        assert ndimage.label(labels.numpy() == region)[1] == 1, f"region {region} falls apart"


@pytest.mark.parametrize("case", SYNTHETIC, ids=lambda case: case.name)
def test_synthetic_goldens_are_met_exactly(case: PartitionCase) -> None:
    labels, counts = superpixel_merge(as_batch(case.pixels), **case.options)
    assert np.array_equal(labels[0].numpy(), case.labels)
    assert counts.tolist() == [case.labels.max() + 1]


@pytest.mark.parametrize("case", SYNTHETIC, ids=lambda case: case.name)
def test_synthetic_counts_are_met_at_every_level(case: PartitionCase) -> None:
    hierarchy = merge_hierarchy(
        vertices(as_batch(case.pixels))[0], compactness=case.options["compactness"] or 0.0
    )
    assert case.counts is not None
    golden = case.counts.tolist()
    golden += golden[-1:] * (5 - len(golden))  # the goldens stop at a single vertex
    assert [partition.count for partition in hierarchy] == golden
    for partition in hierarchy:
        assert int(partition.labels.max()) + 1 == partition.count


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.is_photograph], ids=lambda case: case.name
)
def test_photograph_goldens_are_met(case: PartitionCase) -> None:
    labels, _ = superpixel_merge(as_batch(case.pixels), **case.options)
    assert adjusted_rand_index(labels[0].numpy(), case.labels) >= 0.998


def test_labels_have_not_changed() -> None:
    """The goldens allow for other arithmetic; this does not.  A change of these bits breaks every
    bundle and kernel there is."""
    digest = hashlib.sha256()
    for case in CASES:
        labels, _ = superpixel_merge(as_batch(case.pixels), **case.options)
        digest.update(labels.numpy().astype("<i4").tobytes())
    assert digest.hexdigest()[:32] == "53374a70ba1ac159691afcf2f9fcfd7b"


def test_final_threshold_joins_regions_of_a_photograph() -> None:
    images = photograph("astronaut", 224, 224)
    labels, counts = superpixel_merge(images)
    joined, fewer = superpixel_merge(images, final_threshold=0.1)
    assert 1 < int(fewer) < int(counts)
    pairs = torch.unique(torch.stack([labels.flatten(), joined.flatten()]), dim=1)
    assert pairs.shape[1] == int(counts), "a region was torn apart"
    assert superpixel_merge(images, final_threshold=8.0)[1].tolist() == [1]


@pytest.mark.parametrize(
    ("images", "count"),
    [
        (flat(64, 64), 1),
        (flat(40, 56, 0), 1),
        (flat(56, 40, 255), 1),
        (noise(1, 1), 1),
        (checkerboard(224, 8), 784),
    ],
    ids=["flat", "black", "white", "pixel", "checkerboard"],
)
def test_known_counts(images: Tensor, count: int) -> None:
    labels, counts = superpixel_merge(images)
    assert counts.tolist() == [count] and int(labels.max()) == count - 1


def test_a_checkerboard_comes_out_as_its_squares() -> None:
    labels, _ = superpixel_merge(checkerboard(224, 8))
    line = torch.arange(224) // 8
    assert torch.equal(labels[0], (line.view(-1, 1) * 28 + line).to(torch.int32))


def test_noise_and_photographs_give_about_as_many_regions_as_the_paper() -> None:
    images = torch.cat([noise(224, 224), photograph("coffee", 224, 224)])
    _, (of_noise, of_photograph) = superpixel_merge(images)
    assert 280 <= of_noise <= 360
    assert 100 <= of_photograph <= 300


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "compact", "threshold"])
@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_images_give_a_partition(images: Tensor, options: dict[str, Any]) -> None:
    labels, counts = superpixel_merge(images, **options)
    assert labels.dtype == counts.dtype == torch.int32
    assert labels.shape == (1, *images.shape[2:]) and counts.shape == (1,)
    assert_partition(labels[0], int(counts))


@pytest.mark.parametrize("size", [(300, 300), (1, 5000), (5000, 1)])
def test_the_longest_chains_of_choices(size: tuple[int, int]) -> None:
    """In a flat image every pixel chooses its higher neighbour: chains of H + W."""
    labels, counts = superpixel_merge(flat(*size))
    assert counts.tolist() == [1] and not labels.any()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_through_a_maze_is_followed_to_its_end(backwards: bool) -> None:
    """Along a winding corridor every pixel is more like the next one than like the last."""
    corridor = torch.zeros(59, 60, dtype=torch.bool)
    corridor[::2] = True
    corridor[1::4, -1] = corridor[3::4, 0] = True
    path = [
        (y, x)
        for y in range(59)
        for x in (range(60) if y % 4 < 2 else range(59, -1, -1))
        if corridor[y, x]
    ]
    if backwards:
        path.reverse()
    quantised = np.linspace(40_000, 65_000, len(path) - 1).round()
    angle = np.concatenate([[0.0], np.cumsum(np.arccos(2 * quantised / 65535 - 1))])
    features = torch.zeros(4, 59, 60)
    features[2, ~corridor] = 1.0
    for (y, x), a in zip(path, angle, strict=True):
        features[0, y, x], features[1, y, x] = float(np.cos(a)), float(np.sin(a))
    _, merged = merge_hierarchy(features, levels=1)
    assert merged.count == 1 + 29
    assert not merged.labels[corridor].any()


def row_of(*groups: tuple[int, float, float]) -> Tensor:
    """Vertex features [4, 1, W] of a row of pixels: how many, and the first two features."""
    columns = [(a, b, 0.0, 0.0) for count, a, b in groups for _ in range(count)]
    return torch.tensor(columns).t().unsqueeze(1).contiguous()


@pytest.mark.parametrize(("score", "counts"), [(0.354, [10, 3, 2]), (0.357, [10, 3, 1])])
def test_a_large_vertex_stays_alone_if_that_scores_higher(score: float, counts: list[int]) -> None:
    """Sizes 6, 2, 2: mu = 20/3, sigma = sqrt(16/3), so that staying alone scores 0.3557 for the
    large one.  Its neighbour prefers the third, so it is for the large one to choose."""
    angle = np.arccos(2 * score - 1)
    first, second, third = ((np.cos(a), np.sin(a)) for a in (0.0, angle, angle + 0.6))
    hierarchy = merge_hierarchy(row_of((6, *first), (2, *second), (2, *third)), levels=2)
    assert [partition.count for partition in hierarchy] == counts


def test_final_threshold_is_exclusive() -> None:
    """The range of the differences (0.25, 0.125, 0, 0) is 0.25."""
    features = row_of((1, 0.5, 0.25), (1, 0.25, 0.125))
    above = float(np.nextafter(np.float32(0.25), np.float32(1)))
    for threshold, count in ((0.25, 2), (above, 1)):
        last = merge_hierarchy(features, levels=0, final_threshold=threshold)[-1]
        assert last.count == count


@pytest.mark.parametrize(("feature", "count"), [(2.0**-30, 2), (2.0**-31, 1)])
def test_features_are_averaged_in_units_of_two_to_the_minus_30(feature: float, count: int) -> None:
    """What is smaller becomes zero, and then two vertices do not differ at all."""
    features = row_of((2, feature, 0.0), (2, 0.0, 0.0))
    hierarchy = merge_hierarchy(features, levels=1, final_threshold=2.0**-31)
    assert [partition.count for partition in hierarchy] == [4, 2, count]


def test_no_levels_leave_every_pixel_alone() -> None:
    images = five_images(6, 9)
    labels, counts = superpixel_merge(images, levels=0)
    assert torch.equal(labels, torch.arange(54, dtype=torch.int32).view(1, 6, 9).expand(5, -1, -1))
    assert counts.tolist() == [54] * 5


def test_levels_nest() -> None:
    images = photograph("chelsea", 60, 80)
    hierarchy = merge_hierarchy(vertices(images)[0], levels=5)
    counts = [partition.count for partition in hierarchy]
    assert counts[0] == 4800 and counts == sorted(counts, reverse=True) and counts[-1] >= 1
    for levels, (fine, coarse) in enumerate(itertools.pairwise(hierarchy), 1):
        pairs = torch.unique(torch.stack([fine.labels, coarse.labels]).flatten(1), dim=1)
        assert pairs.shape[1] == fine.count, "a region was torn apart"
        labels, _ = superpixel_merge(images, levels=levels)
        assert torch.equal(labels[0], coarse.labels.to(torch.int32))


def test_no_compactness_is_zero_compactness() -> None:
    images = photograph("astronaut", 96, 96)
    plain = superpixel_merge(images)
    assert same_bits(plain, superpixel_merge(images, compactness=0.0))
    assert not same_bits(plain, superpixel_merge(images, compactness=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": -1}, r"levels must lie in \[0, 16\], not -1"),
        ({"levels": 17}, r"levels must lie in \[0, 16\], not 17"),
        ({"final_threshold": 9.0}, r"final_threshold must lie in \[0, 8\], not 9"),
        ({"compactness": -0.1}, r"compactness must lie in \[0, 1\], not -0.1"),
        ({"compactness": 1.5}, r"compactness must lie in \[0, 1\], not 1.5"),
        ({"compactness": float("nan")}, "compactness .* not nan"),
        ({"final_threshold": -1.0}, r"final_threshold must lie in \[0, 8\], not -1"),
        ({"final_threshold": float("inf")}, "final_threshold .* not inf"),
        ({"final_threshold": float("nan")}, "final_threshold .* not nan"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        superpixel_merge(flat(4, 4), **options)


def same_bits(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "compact", "threshold"])
def test_any_place_in_a_batch_gives_the_same_bits(options: dict[str, Any]) -> None:
    images = five_images(96, 128)
    alone = superpixel_merge(images[:1], **options)
    assert int(alone[1]) > 1
    for place in range(5):
        labels, counts = superpixel_merge(images.roll(place, 0), **options)
        assert same_bits(alone, (labels[place : place + 1], counts[place : place + 1]))


@pytest.mark.parametrize(("size", "repeats"), [((224, 224), 1), ((120, 160), 20)])
def test_threads_and_repeats_give_the_same_bits(
    thread_counts: None, size: tuple[int, int], repeats: int
) -> None:
    images = photograph("astronaut", *size)
    torch.set_num_threads(1)
    first = superpixel_merge(images, compactness=0.1)
    torch.set_num_threads(2)
    for _ in range(repeats):
        assert same_bits(first, superpixel_merge(images, compactness=0.1))


def test_uint8_unit_and_layouts_give_the_same_bits() -> None:
    images = photograph("coffee", 120, 90)
    expected = superpixel_merge(images)
    unit = torch.from_numpy((images.numpy() / 255.0).astype(np.float32))
    assert same_bits(expected, superpixel_merge(unit))
    channels_last = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert same_bits(expected, superpixel_merge(channels_last))
    padded = torch.zeros(1, 3, 124, 97, dtype=torch.uint8)
    padded[:, :, 1:121, 5:95] = images
    assert same_bits(expected, superpixel_merge(padded[:, :, 1:121, 5:95]))


def test_images_are_left_as_they_are() -> None:
    images = photograph("coffee", 40, 40)
    before = images.clone()
    unit = images / 255.0
    unit_before = unit.clone()
    superpixel_merge(images)
    superpixel_merge(unit)
    assert torch.equal(images, before) and torch.equal(unit, unit_before)


# ---- a naive implementation: sets, loops, one vertex at a time

F32 = np.float32


class NaiveVertex:
    """A vertex of the naive implementation: sets and loops, one vertex at a time."""

    def __init__(self, pixels: set[tuple[int, int]], feature: list[np.float32], merged: bool):
        self.pixels, self.feature, self.merged = pixels, feature, merged

    def touches(self, other: NaiveVertex) -> bool:
        beside = {(y + dy, x + dx) for y, x in self.pixels for dy, dx in ((0, 1), (1, 0))}
        return bool(beside & other.pixels)


def naive_dot(a: list[np.float32], b: list[np.float32]) -> np.float32:
    products = [x * y for x, y in zip(a, b, strict=True)]
    return ((products[0] + products[1]) + products[2]) + products[3]


def naive_score(vertices: list[NaiveVertex], u: int, v: int, compactness: float) -> int:
    a, b = vertices[u], vertices[v]
    if u == v:
        sizes = [len(vertex.pixels) for vertex in vertices]
        n, whole = len(sizes), sum(sizes)
        spread = sum(size * size for size in sizes) - Fraction(whole * whole, n)
        below = spread.numerator // spread.denominator
        rest = F32((spread - below) * n) / F32(n)
        deviation = np.sqrt((F32(below) + rest) / F32(n - 1)) if n > 1 else F32(0)
        z = (F32(len(a.pixels)) - F32(2 * whole) / F32(n)) / max(deviation, F32(1e-6))
        score = (np.clip(z, F32(-0.75), F32(0.75)) + F32(1)) * F32(0.5)
    else:
        norms = np.sqrt(naive_dot(a.feature, a.feature)) * np.sqrt(naive_dot(b.feature, b.feature))
        cosine = naive_dot(a.feature, b.feature) / norms if norms > 0 else F32(0)
        score = (cosine + F32(1)) * F32(0.5)
    if compactness > 0:
        joint = a.pixels | b.pixels
        rows, columns = [y for y, _ in joint], [x for _, x in joint]
        half = max(rows) - min(rows) + max(columns) - min(columns) + 2
        roundness = np.clip(F32(4 * len(joint)) / F32(half * half), F32(0), F32(1))
        score = roundness * F32(compactness) + score * (F32(1) - F32(compactness))
    return int(np.clip(np.floor(score * F32(65535) + F32(0.5)), 0, 65535))


def naive_join(vertices: list[NaiveVertex], links: list[tuple[int, int]]) -> list[NaiveVertex]:
    group = list(range(len(vertices)))
    for u, v in links:
        group = [group[u] if g == group[v] else g for g in group]
    joined = []
    for name in set(group):
        members = [vertex for g, vertex in zip(group, vertices, strict=True) if g == name]
        columns = zip(*(vertex.feature for vertex in members), strict=True)
        # Python's integers add up exactly; int() cuts like the definition.
        sums = [sum(int(f * F32(2.0**30)) for f in column) for column in columns]
        feature = [F32(total) * F32(2.0**-30) / F32(len(members)) for total in sums]
        pixels = set().union(*(vertex.pixels for vertex in members))
        joined.append(NaiveVertex(pixels, feature, True))
    return sorted(joined, key=lambda vertex: min(vertex.pixels))


def naive_hierarchy(
    features: Tensor, levels: int, compactness: float, threshold: float
) -> list[np.ndarray]:
    _, height, width = features.shape
    vertices = [
        NaiveVertex({(y, x)}, list(features[:, y, x].numpy()), False)
        for y in range(height)
        for x in range(width)
    ]
    found = []
    for _ in range(levels):
        choices = []
        for u, vertex in enumerate(vertices):
            beside = [
                v
                for v, other in enumerate(vertices)
                if (vertex.touches(other) or other.touches(vertex) if u != v else vertex.merged)
            ]
            best = max(
                ((naive_score(vertices, u, v, compactness), v) for v in beside), default=None
            )
            choices.append((u, best[1] if best else u))
        vertices = naive_join(vertices, choices)
        found.append(naive_labels(vertices, height, width))
    if threshold > 0:
        links = []
        for u, a in enumerate(vertices):
            for v, b in enumerate(vertices):
                difference = [x - y for x, y in zip(a.feature, b.feature, strict=True)]
                if a.touches(b) and u != v and max(difference) - min(difference) < F32(threshold):
                    links.append((u, v))
        vertices = naive_join(vertices, links)
        found.append(naive_labels(vertices, height, width))
    return found


def naive_labels(vertices: list[NaiveVertex], height: int, width: int) -> np.ndarray:
    labels = np.empty((height, width), int)
    for number, vertex in enumerate(vertices):
        for pixel in vertex.pixels:
            labels[pixel] = number
    return labels


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from(["smooth", "few", "any"]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 10_000),
)
def test_the_naive_implementation_agrees(
    height: int, width: int, kind: str, compactness: float, threshold: float, seed: int
) -> None:
    """On features with many ties and zeros ("few"), on similar ones and on any."""
    generator = np.random.default_rng(seed)
    size = (4, height, width)
    if kind == "few":
        values = generator.choice([0.0, 0.0, 0.5, -0.5, 1.0], size)
    elif kind == "smooth":
        middle = np.array([0.5, -0.3, 0.1, -0.9]).reshape(4, 1, 1)
        values = generator.uniform(-0.01, 0.01, size) + middle
    else:
        values = generator.uniform(-1, 1, size)
    features = torch.from_numpy(values.astype(np.float32))
    hierarchy = merge_hierarchy(
        features, levels=3, compactness=compactness, final_threshold=threshold
    )
    for partition, expected in zip(
        hierarchy[1:], naive_hierarchy(features, 3, compactness, threshold), strict=True
    ):
        assert np.array_equal(partition.labels.numpy(), expected)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 256),
    st.integers(0, 5),
    st.sampled_from([None, 0.1, 1.0]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 10_000),
)
def test_every_image_gives_a_partition(
    height: int,
    width: int,
    colours: int,
    levels: int,
    compactness: float | None,
    threshold: float,
    seed: int,
) -> None:
    values = np.random.default_rng(seed).integers(0, colours, (1, 3, height, width))
    images = torch.from_numpy(values.astype(np.uint8))
    labels, counts = superpixel_merge(
        images, levels=levels, compactness=compactness, final_threshold=threshold
    )
    assert_partition(labels[0], int(counts))
