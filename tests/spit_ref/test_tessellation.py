"""Partitions that do not look at the image, against implementations in Python's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spit_edge.spit_ref import pca_tree_tessellation, square_tessellation, voronoi_tessellation
from spit_edge.spit_ref.philox import philox4x32
from spit_edge.spit_ref.tessellation import site_count

SIZES = [(1, 1), (1, 2), (1, 7), (7, 1), (2, 2), (13, 29), (29, 13), (40, 56)]
SEEDS = [0, 1, -1, 2**31, 2**40 + 3, 2**63 - 9, 5 - 2**63, 2**64 - 2]
RANDOM = {"voronoi": voronoi_tessellation, "pca_tree": pca_tree_tessellation}

Tessellate = Callable[..., tuple[Tensor, Tensor]]
Words = tuple[int, ...]


@pytest.fixture
def thread_counts() -> Iterator[None]:
    """A test may change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def naive_philox(counter: Words, key: Words) -> Words:
    """Philox4x32-10 in Python's integers."""
    word = 2**32 - 1
    for _ in range(10):
        first, second = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        high = (second >> 32) ^ counter[1] ^ key[0], (first >> 32) ^ counter[3] ^ key[1]
        counter = (high[0], second & word, high[1], first & word)
        key = ((key[0] + 0x9E3779B9) & word, (key[1] + 0xBB67AE85) & word)
    return counter


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000",
         "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
         "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_the_naive_philox_gives_the_published_vectors(
    counter: str, key: str, expected: str
) -> None:
    """Those of Random123's kat_vectors; the two high counter words of ours are always 0."""
    assert naive_philox(words(counter), words(key)) == words(expected)


def words(text: str) -> Words:
    return tuple(int(word, 16) for word in text.split())


def test_philox_gives_the_published_vector() -> None:
    found = philox4x32(torch.tensor([0]), 0)
    assert [int(word) for word in found] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("seed", SEEDS)
def test_philox_agrees_with_the_naive_one(seed: int) -> None:
    counters = [0, 1, 2, 77, 2**31, 2**32 - 1, 2**32, 2**40 + 5, 2**63 - 1]
    found = torch.stack(philox4x32(torch.tensor(counters), seed), dim=1).tolist()
    key = (seed & (2**32 - 1), seed >> 32 & (2**32 - 1))
    for counter, row in zip(counters, found, strict=True):
        assert tuple(row) == naive_philox((counter & (2**32 - 1), counter >> 32, 0, 0), key)


def by_first_pixel(labels: np.ndarray) -> np.ndarray:
    names: dict[Any, int] = {}
    numbers = [names.setdefault(label, len(names)) for label in labels.ravel().tolist()]
    return np.array(numbers).reshape(labels.shape)


def naive_voronoi(seed: int, height: int, width: int) -> np.ndarray:
    """In Python's integers, pixel by pixel; distances in sixteenths of a pixel."""
    key = (seed & (2**32 - 1), seed >> 32 & (2**32 - 1))
    sites = []
    for k in range(round((height * width) ** 0.5)):
        a, b, _, _ = naive_philox((k, 0, 0, 0), key)
        sites.append((a * 16 * height >> 32, b * 16 * width >> 32))
    nearest = np.empty((height, width), int)
    for i in range(height):
        for j in range(width):
            distances = [(16 * i + 8 - y) ** 2 + (16 * j + 8 - x) ** 2 for y, x in sites]
            nearest[i, j] = distances.index(min(distances))
    return by_first_pixel(nearest)


@pytest.mark.parametrize("size", SIZES)
def test_voronoi_agrees_with_the_naive_one(size: tuple[int, int]) -> None:
    for seed in SEEDS[:5]:
        labels, counts = voronoi_tessellation(seed, *size)
        expected = naive_voronoi(seed, *size)
        assert np.array_equal(labels[0].numpy(), expected)
        assert counts.tolist() == [expected.max() + 1]


def naive_pca_tree(seed: int, height: int, width: int) -> np.ndarray:
    """Recursively, with fractions and fifty digits; what is that close to zero is zero."""
    count = max(1, round(1.1 * (height * width) ** 0.5))
    unit = torch.quasirandom.SobolEngine(2, scramble=True, seed=seed).draw(count).tolist()
    points = [(round(y * height), round(x * width)) for y, x in unit]
    leaves = np.empty((height, width), object)

    def split(points: list[tuple[int, int]], pixels: list[Any], path: str, levels: int) -> None:
        if levels == 0:
            for pixel in pixels:
                leaves[pixel] = path
            return
        right = naive_side(points)
        for name, side in (("l", False), ("r", True)):
            there = [pixel for pixel in pixels if right(pixel) == side]
            if there:
                split([p for p in points if right(p) == side], there, path + name, levels - 1)

    with localcontext() as context:
        context.prec = 50
        split(points, list(np.ndindex(height, width)), "", (count - 1).bit_length())
    return by_first_pixel(leaves)


def naive_side(points: list[tuple[int, int]]) -> Callable[[tuple[int, int]], bool]:
    """Whether a point lies right of the mean along the principal axis of ``points``."""
    n = len(points)
    mean = [Fraction(sum(axis), n) for axis in zip(*points, strict=True)]
    yy = sum((y - mean[0]) ** 2 for y, _ in points)
    xx = sum((x - mean[1]) ** 2 for _, x in points)
    xy = sum((y - mean[0]) * (x - mean[1]) for y, x in points)
    if xy:
        # Eigenvector (lambda - xx, xy) of the larger eigenvalue, pointing down.
        root = decimal((yy - xx) ** 2 + 4 * xy**2).sqrt()
        axis = ((decimal(yy - xx) + root) / 2, decimal(xy))
    else:
        # Axes of equal length: down.  No extent at all: nowhere.
        axis = (Decimal(yy >= xx and yy > 0), Decimal(yy < xx))

    def right(point: tuple[int, int]) -> bool:
        offset = decimal(point[0] - mean[0]) * axis[0] + decimal(point[1] - mean[1]) * axis[1]
        return offset >= Decimal("-1e-30")

    return right


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


@pytest.mark.parametrize("size", [*SIZES, (4, 4)])
def test_pca_tree_agrees_with_the_naive_one(size: tuple[int, int]) -> None:
    """Small images have many clusters with a point on the cut, and some without a longer axis."""
    for seed in range(60 if size[0] * size[1] < 20 else 5):
        labels, counts = pca_tree_tessellation(seed, *size)
        expected = naive_pca_tree(seed, *size)
        assert np.array_equal(labels[0].numpy(), expected)
        assert counts.tolist() == [expected.max() + 1]


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("size", [*SIZES, (224, 224), (96, 160)])
def test_labels_are_dense_in_raster_order(kind: str, size: tuple[int, int]) -> None:
    labels, counts = RANDOM[kind]([3, 4], *size)
    assert labels.shape == (2, *size) and labels.dtype == torch.int32
    assert counts.shape == (2,) and counts.dtype == torch.int32
    for image, count in zip(labels.numpy(), counts.tolist(), strict=True):
        assert np.array_equal(image, by_first_pixel(image)) and image.max() == count - 1


@pytest.mark.parametrize("kind", RANDOM)
def test_seeds_and_nothing_else_choose_the_cells(kind: str, thread_counts: None) -> None:
    tessellate: Tessellate = RANDOM[kind]
    together, counts = tessellate(SEEDS, 40, 56)
    assert len({image.numpy().tobytes() for image in together}) == len(SEEDS)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for index, seed in enumerate(SEEDS):
            torch.manual_seed(index)
            state = torch.get_rng_state()
            labels, count = tessellate(seed, 40, 56)
            assert torch.equal(labels[0], together[index]) and count == counts[index]
            assert torch.equal(torch.get_rng_state(), state)


def test_seeds_are_taken_modulo_two_to_the_64() -> None:
    assert torch.equal(voronoi_tessellation(-1, 9, 9)[0], voronoi_tessellation(2**64 - 1, 9, 9)[0])


@pytest.mark.parametrize("kind", RANDOM)
def test_there_are_about_as_many_cells_as_a_square_root_of_pixels(kind: str) -> None:
    for height, width in ((224, 224), (96, 160)):
        _, counts = RANDOM[kind]([0, 1, 2], height, width)
        root = (height * width) ** 0.5
        assert (counts >= 0.9 * root).all()
        assert (counts <= 1.1 * root + 1).all()


def test_cells_differ_in_size_but_not_wildly() -> None:
    for tessellate in RANDOM.values():
        labels, _ = tessellate(0, 224, 224)
        sizes = torch.bincount(labels.flatten())
        assert int(sizes.max()) < 8 * 224 and float(sizes.float().std()) > 20


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1, 1, 1), (1, 2, 1), (1, 3, 2), (2, 3, 2), (1, 7, 3), (224, 224, 224), (2**13, 2**13, 2**13)],
)
def test_site_count_is_the_rounded_root(height: int, width: int, expected: int) -> None:
    assert site_count(height, width) == expected


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (224, 224, 196),
        (16, 16, 1),
        (1, 1, 1),
        (17, 16, 2),
        (40, 50, 12),
        (5, 33, 3),
        (384, 512, 768),
    ],
)
def test_squares_are_numbered_row_by_row(height: int, width: int, count: int) -> None:
    labels, counts = square_tessellation(height, width)
    assert labels.dtype == counts.dtype == torch.int32 and labels.shape == (1, height, width)
    assert counts.tolist() == [count]
    tiles = [(i // 16, j // 16) for i in range(height) for j in range(width)]
    order = {tile: number for number, tile in enumerate(sorted(set(tiles)))}
    assert labels.flatten().tolist() == [order[tile] for tile in tiles]


def test_squares_of_another_size() -> None:
    labels, counts = square_tessellation(5, 7, 3)
    assert counts.tolist() == [6]
    assert labels[0].tolist() == [[0, 0, 0, 1, 1, 1, 2]] * 3 + [[3, 3, 3, 4, 4, 4, 5]] * 2
