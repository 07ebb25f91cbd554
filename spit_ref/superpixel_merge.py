"""Superpixels by hierarchical merging: the definition that every back end must match to the bit.

Pixels are vertices, 4-neighbours are edges.  At each level every vertex chooses its most similar
neighbour (or, from the second level on, possibly itself); the connected components of the choices
are the next level's vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spit_edge.base.contracts import SUPERPIXEL_MERGE
from spit_edge.spit_ref import exact
from spit_edge.spit_ref.image_input import checked_images
from spit_edge.spit_ref.pixel_features import Pixels, pixel_features, vertex_features

SCORE_LEVELS = 65535.0
FIXED_POINT = 2.0**30
"""Features are summed as integers in units of 2^-30, so that the order of a sum cannot matter."""
ALONE_LIMIT = 0.75
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Partition:
    """A partition of an image: ``labels`` int64 [H, W] in 0...count-1, in order of first pixel."""

    labels: Tensor
    count: int


def superpixel_merge(
    images: Tensor,
    *,
    levels: int = 4,
    compactness: float | None = None,
    final_threshold: float = 0.0,
    pixels: Pixels | None = None,
) -> tuple[Tensor, Tensor]:
    """Superpixels of a batch of images.

    images           [B, 3, H, W] uint8, or float32 in [0, 1]
    levels           rounds of merging, 0...16
    compactness      weight of region compactness in the scores, in [0, 1]; None is 0
    final_threshold  > 0 joins, at the end, all neighbours whose features differ by less; 0...8
    pixels           None, or what values of any range mean, as in a graph, which cannot refuse its
                     input: NaN counts as 0, values out of range are clipped

    Returns labels int32 [B, H, W], numbered 0...counts-1 in raster order of first pixels, and
    counts int32 [B].  Raises ValueError for images or options out of range.
    """
    values = SUPERPIXEL_MERGE.attribute_values(
        {
            "pixels": "unit" if pixels is None else pixels,
            "levels": levels,
            "compactness": 0.0 if compactness is None else compactness,
            "final_threshold": final_threshold,
        }
    )
    return merge_vertices(
        vertex_features(pixel_features(checked_images(images, pixels))),
        levels=int(values["levels"]),
        compactness=float(values["compactness"]),
        final_threshold=float(values["final_threshold"]),
    )


def merge_vertices(
    features: Tensor, *, levels: int, compactness: float, final_threshold: float
) -> tuple[Tensor, Tensor]:
    """As :func:`superpixel_merge`, from vertex features [B, 4, H, W]."""
    last = [
        merge_hierarchy(
            image, levels=levels, compactness=compactness, final_threshold=final_threshold
        )[-1]
        for image in features
    ]
    labels = torch.stack([partition.labels for partition in last]).to(torch.int32)
    counts = torch.tensor([p.count for p in last], dtype=torch.int32, device=features.device)
    return labels, counts


def merge_hierarchy(
    features: Tensor, *, levels: int = 4, compactness: float = 0.0, final_threshold: float = 0.0
) -> list[Partition]:
    """The partitions of one image's pixels, before the first and after every level, from vertex
    features [4, H, W]; one more where ``final_threshold`` > 0."""
    _, height, width = features.shape
    graph = _pixel_graph(features)
    partitions = [graph.partition(height, width)]
    for level in range(levels):
        graph = _contract(graph, _choices(graph, compactness, merged=level > 0))
        partitions.append(graph.partition(height, width))
    if final_threshold > 0.0:
        graph = _contract(graph, _similar_components(graph, final_threshold))
        partitions.append(graph.partition(height, width))
    return partitions


@dataclass(frozen=True)
class _Graph:
    labels: Tensor  # [P]    vertex of every pixel
    features: Tensor  # [n, 4] float32
    sizes: Tensor  # [n]    pixels
    low: Tensor  # [n, 2] smallest (row, column)
    high: Tensor  # [n, 2] largest (row, column), inclusive
    edges: Tensor  # [2, E] every pair of neighbours once

    @property
    def count(self) -> int:
        return self.sizes.numel()

    def partition(self, height: int, width: int) -> Partition:
        return Partition(self.labels.view(height, width), self.count)


def _pixel_graph(features: Tensor) -> _Graph:
    _, height, width = features.shape
    number = torch.arange(height * width, device=features.device).view(height, width)
    east = torch.stack([number[:, :-1].flatten(), number[:, 1:].flatten()])
    south = torch.stack([number[:-1].flatten(), number[1:].flatten()])
    corner = torch.stack([number.flatten() // width, number.flatten() % width], dim=1)
    return _Graph(
        labels=number.flatten(),
        features=features.reshape(4, -1).t().contiguous(),
        sizes=torch.ones_like(number.flatten()),
        low=corner,
        high=corner,
        edges=torch.cat([east, south], dim=1),
    )


def _choices(graph: _Graph, compactness: float, merged: bool) -> Tensor:
    """Root [n] of every vertex in the forest of choices."""
    u, v = graph.edges
    scores = _blend(_similarity(graph), graph, u, v, compactness)
    key = _quantise(scores)
    targets = [u, v]
    keys = [key | v, key | u]
    if merged:
        own = torch.arange(graph.count, device=u.device)
        alone = _blend(_alone(graph), graph, own, own, compactness)
        targets.append(own)
        keys.append(_quantise(alone) | own)
    best = torch.full((graph.count,), -1, dtype=torch.int64, device=u.device)
    best.scatter_reduce_(0, torch.cat(targets), torch.cat(keys), "amax")
    own = torch.arange(graph.count, device=u.device)
    choice = torch.where(best < 0, own, best & 0xFFFFFFFF)
    # Cycles are never longer than two: the smaller vertex of a mutual pair is the root.
    root = torch.where((choice[choice] == own) & (own < choice), own, choice)
    while not torch.equal(root, root[root]):
        root = root[root]
    return root


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products of rows [E, 4], summed from left to right."""
    p = a * b
    return ((p[:, 0] + p[:, 1]) + p[:, 2]) + p[:, 3]


def _similarity(graph: _Graph) -> Tensor:
    """Cosine of every edge [E], moved to [0, 1]."""
    norm = exact.sqrt(_dot(graph.features, graph.features))
    u, v = graph.edges
    product = norm[u] * norm[v]
    cosine = _dot(graph.features[u], graph.features[v]) / product
    cosine = torch.where(product > 0.0, cosine, torch.zeros_like(cosine))
    return (cosine + 1.0) * 0.5


def _alone(graph: _Graph) -> Tensor:
    """Score of staying alone [n]: large vertices want to.  Mean and deviation of the sizes come
    from integer sums, so they are exact up to the roundings of the last few operations."""
    n = graph.count
    pixels = int(graph.sizes.sum())
    one = torch.ones((), dtype=torch.float32, device=graph.sizes.device)
    mean = (one * (2 * pixels)) / (one * n)
    deviation = one * 0.0
    if n > 1:
        whole, rest = divmod(pixels * pixels, n)
        spread = int((graph.sizes * graph.sizes).sum()) - whole
        deviation = exact.sqrt(((one * spread) - (one * rest) / (one * n)) / (one * (n - 1)))
    sigma = torch.clamp(deviation, min=SMALLEST_DEVIATION)
    z = torch.clamp((graph.sizes.to(torch.float32) - mean) / sigma, -ALONE_LIMIT, ALONE_LIMIT)
    return (z + 1.0) * 0.5


def _blend(score: Tensor, graph: _Graph, u: Tensor, v: Tensor, compactness: float) -> Tensor:
    """Mix the compactness 4 area / perimeter^2 of the joint bounding boxes into the scores."""
    if compactness == 0.0:
        return score
    area = torch.where(u == v, graph.sizes[u], graph.sizes[u] + graph.sizes[v])
    extent = torch.maximum(graph.high[u], graph.high[v]) - torch.minimum(graph.low[u], graph.low[v])
    half = (extent.sum(dim=1) + 2).to(torch.float32)
    roundness = torch.clamp((area.to(torch.float32) * 4.0) / (half * half), 0.0, 1.0)
    weight = torch.tensor(compactness, dtype=torch.float32, device=score.device)
    return roundness * weight + score * (1.0 - weight)


def _quantise(score: Tensor) -> Tensor:
    """Scores as 16-bit integers in the upper half of a sorting key."""
    q = torch.floor(score * SCORE_LEVELS + 0.5)
    return torch.clamp(q, 0.0, SCORE_LEVELS).to(torch.int64) << 32


def _similar_components(graph: _Graph, threshold: float) -> Tensor:
    """Smallest vertex [n] of each component of the edges whose difference has a small range."""
    difference = graph.features[graph.edges[0]] - graph.features[graph.edges[1]]
    limit = torch.tensor(threshold, dtype=torch.float32, device=difference.device)
    joined = graph.edges[:, difference.amax(dim=1) - difference.amin(dim=1) < limit]
    root = torch.arange(graph.count, device=joined.device)
    while True:
        u, v = root[joined]
        lower = torch.minimum(u, v)
        new = root.scatter_reduce(0, torch.maximum(u, v), lower, "amin")
        new = new[new]
        if torch.equal(new, root):
            return root
        root = new


def _contract(graph: _Graph, root: Tensor) -> _Graph:
    """The graph whose vertices are the groups with the same ``root`` [n]."""
    n = graph.count
    own = torch.arange(n, device=root.device)
    # Vertices are numbered by first pixel, so a group's first pixel is that of its smallest vertex.
    first = torch.full_like(own, n).scatter_reduce(0, root, own, "amin")[root]
    number = (torch.cumsum((first == own).to(torch.int64), 0) - 1)[first]
    count = int(number.max()) + 1

    fixed = (graph.features * FIXED_POINT).to(torch.int64)
    sums = torch.zeros((count, 4), dtype=torch.int64, device=root.device)
    sums.index_add_(0, number, fixed)
    children = torch.bincount(number, minlength=count).to(torch.float32).unsqueeze(1)
    sizes = torch.zeros(count, dtype=torch.int64, device=root.device)
    sizes.index_add_(0, number, graph.sizes)
    rows = number.unsqueeze(1).expand(-1, 2)
    low = torch.full((count, 2), torch.iinfo(torch.int64).max, device=root.device)
    high = torch.full((count, 2), -1, device=root.device)
    u, v = number[graph.edges]
    pairs = torch.unique((torch.minimum(u, v) * count + torch.maximum(u, v))[u != v])
    return _Graph(
        labels=number[graph.labels],
        features=(sums.to(torch.float32) * (1.0 / FIXED_POINT)) / children,
        sizes=sizes,
        low=low.scatter_reduce(0, rows, graph.low, "amin"),
        high=high.scatter_reduce(0, rows, graph.high, "amax"),
        edges=torch.stack([pairs // count, pairs % count]),
    )
