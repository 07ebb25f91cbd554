"""Partitions that do not look at the image: squares, and two random tessellations.

All are pure functions of (seed, height, width) and number their cells in raster order of first
pixels.  Labels are int32 [B, H, W], counts int32 [B].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spit_edge.base.contracts import MOST_PIXELS, VORONOI_TESSELLATION
from spit_edge.spit_ref.image_input import dense_labels
from spit_edge.spit_ref.philox import philox4x32

SUBPIXEL = 16
"""Voronoi sites lie on a grid of 1/16 pixel, so that distances are integers."""


def square_tessellation(height: int, width: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """Squares of ``size`` pixels, row by row; smaller ones at the right and bottom edge.  B = 1."""
    per_row = -(-width // size)
    rows = torch.arange(height).view(-1, 1) // size
    columns = torch.arange(width).view(1, -1) // size
    labels = (rows * per_row + columns).to(torch.int32).unsqueeze(0)
    return labels, torch.tensor([per_row * -(-height // size)], dtype=torch.int32)


def voronoi_tessellation(
    seeds: int | Sequence[int], height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Voronoi cells of round(sqrt(H W)) uniform sites, one tessellation per seed (int64).

    Site k of seed s lies at (a 16 H >> 32, b 16 W >> 32) sixteenths of a pixel, where a and b are
    the first two words of Philox4x32-10 at counter k with key s.  A pixel belongs to the site that
    is nearest to its centre, to the first one of several; empty cells vanish.
    """
    VORONOI_TESSELLATION.attribute_values({"height": height, "width": width})
    if height * width > MOST_PIXELS:
        raise ValueError(f"an image may have 2^26 pixels, not {height} x {width}")
    return _per_seed(seeds, lambda seed: _voronoi(seed, height, width))


def pca_tree_tessellation(
    seeds: int | Sequence[int], height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Cells of a PCA tree (Sproull 1991, doi 10.1007/BF01759061) over round(1.1 sqrt(H W))
    scrambled Sobol points, one tessellation per seed (modulo 2^32, as torch's generator takes it).

    Every level splits each cluster by the sign of the projection on its principal axis, about its
    mean (>= 0 goes right).  A cluster without two different points has no axis and stays whole.
    """
    return _per_seed(seeds, lambda seed: _pca_tree(seed, height, width))


def _per_seed(
    seeds: int | Sequence[int], tessellate: Callable[[int], Tensor]
) -> tuple[Tensor, Tensor]:
    chosen = [seeds] if isinstance(seeds, int) else [int(seed) for seed in seeds]
    return dense_labels(torch.stack([tessellate(seed) for seed in chosen]))


def site_count(height: int, width: int) -> int:
    """round(sqrt(H W)), in integers."""
    root = math.isqrt(height * width)
    return root + (height * width > root * root + root)


def _voronoi(seed: int, height: int, width: int) -> Tensor:
    """Nearest site [H, W]."""
    count = site_count(height, width)
    words = philox4x32(torch.arange(count), seed)
    site_y = (words[0] * (SUBPIXEL * height)) >> 32
    site_x = (words[1] * (SUBPIXEL * width)) >> 32
    centre_x = torch.arange(width) * SUBPIXEL + SUBPIXEL // 2
    across = (centre_x.view(-1, 1) - site_x) ** 2
    labels = torch.empty(height, width, dtype=torch.int64)
    for row in range(height):
        down = (row * SUBPIXEL + SUBPIXEL // 2 - site_y) ** 2
        # The site number as last digits: the smallest one wins a tie.
        labels[row] = ((across + down) * count + torch.arange(count)).amin(dim=1) % count
    return labels


def _pca_tree(seed: int, height: int, width: int) -> Tensor:
    """Leaf [H, W] that every pixel arrives at."""
    count = max(1, round(1.1 * math.sqrt(height * width)))
    sobol = torch.quasirandom.SobolEngine(2, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    unit: Tensor = sobol.draw(count).double()
    points = torch.round(unit * torch.tensor([height, width], dtype=torch.float64)).long()
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    of_point = torch.zeros(count, dtype=torch.int64)
    of_pixel = torch.zeros(height * width, dtype=torch.int64)
    for level in range(max(0, math.ceil(math.log2(count)))):
        split = _principal_split(points, of_point, 2**level)
        of_point = 2 * of_point + split.goes_right(points, of_point)
        of_pixel = 2 * of_pixel + split.goes_right(pixels, of_pixel)
    return of_pixel.view(height, width)


@dataclass(frozen=True)
class _Split:
    """How clusters are cut in two: about their mean ``sums / sizes``, across ``axes``."""

    sizes: Tensor  # [clusters, 1] points
    sums: Tensor  # [clusters, 2]
    axes: Tensor  # [clusters, 2] float64, of any length, pointing down; 0 where there is no axis

    def goes_right(self, points: Tensor, cluster: Tensor) -> Tensor:
        # The offset from the mean, times the size of the cluster, is a whole number: a point on
        # the cut is seen to be there.
        offset = (self.sizes[cluster] * points - self.sums[cluster]) * self.axes[cluster]
        return ((offset[:, 0] + offset[:, 1]) >= 0.0).long()


def _principal_split(points: Tensor, cluster: Tensor, clusters: int) -> _Split:
    """Means and principal axes from exact integer moments, without trigonometric functions, whose
    last bit differs between machines."""

    def total(values: Tensor) -> Tensor:
        return torch.zeros(clusters, dtype=torch.int64).index_add_(0, cluster, values)

    y, x = points.unbind(1)
    size, sum_y, sum_x = total(torch.ones_like(y)), total(y), total(x)
    yy = (size * total(y * y) - sum_y * sum_y).double()
    xx = (size * total(x * x) - sum_x * sum_x).double()
    xy = (size * total(x * y) - sum_x * sum_y).double()
    # Half the angle of the vector (yy - xx, 2 xy), by whichever formula does not cancel.
    difference, mixed = yy - xx, 2.0 * xy
    length = torch.sqrt(difference * difference + mixed * mixed)
    steep = difference >= 0.0
    down = torch.where(steep, length + difference, mixed.abs())
    down = torch.where((length == 0.0) & (yy > 0.0), 1.0, down)  # no axis is longer: any will do
    across = torch.where(steep, mixed, torch.copysign(length - difference, mixed))
    sums = torch.stack([sum_y, sum_x], dim=1)
    return _Split(size.unsqueeze(1), sums, torch.stack([down, across], dim=1))
