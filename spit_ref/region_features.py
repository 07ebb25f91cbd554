"""One row of numbers per region, however irregular: resampled colours and joint histograms.

Exact (see :mod:`.exact`): sample positions are integers, histograms are integer sums.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spit_edge.base.contracts import REGION_FEATURES
from spit_edge.base.token_rows import token_size
from spit_edge.spit_ref import exact
from spit_edge.spit_ref.image_input import checked_images, checked_labels
from spit_edge.spit_ref.pixel_features import (
    PixelFeatures,
    Pixels,
    pixel_features,
    positions,
)

HISTOGRAM_ONE = 2**18
"""A kernel weight of 1 as integer.  Products of two, summed over 2^26 pixels, fit in 64 bits."""
_CHUNK = 2**16  # pixels whose sum of products is still a whole number in float64


def region_features(
    images: Tensor,
    labels: Tensor,
    counts: Tensor,
    *,
    max_tokens: int | None = None,
    bins: int = 16,
    sigma: float = 0.025,
    gradient: bool = True,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    pixels: Pixels | None = None,
) -> Tensor:
    """Token rows of the regions of a batch of images.

    images         [B, 3, H, W] uint8, or float32 in [0, 1]
    labels         integers [B, H, W], dense: 0...counts-1 for each image
    counts         integers [B]
    max_tokens     T, rows per image, 1...2^20; None: the largest count.  Only the first T
                   regions get a row
    bins           K, side of the sampling grid and of the histograms, 2...64
    sigma          bandwidth of the histogram kernel, 0.001...10
    gradient       add the joint histogram of the image gradient
    interpolation  "bilinear", or "nearest" (half to even)
    pixels         as for :func:`superpixel_merge`

    Returns tokens float32 [B, T, K * K * C], zero beyond ``counts``.  The last axis holds, cell by
    cell (row by row), r, g, b, the position histogram and, with ``gradient``, that of gradients.
    """
    given = {
        "pixels": "unit" if pixels is None else pixels,
        "max_tokens": 1 if max_tokens is None else max_tokens,
        "bins": bins,
        "sigma": sigma,
        "gradient": gradient,
        "interpolation": interpolation,
    }
    REGION_FEATURES.attribute_values(given)
    unit = checked_images(images, pixels)
    checked_labels(labels, counts, images)
    if max_tokens is None:
        given["max_tokens"] = int(counts.max())
    values = REGION_FEATURES.attribute_values(given)
    return token_rows(
        pixel_features(unit),
        labels,
        counts,
        int(values["max_tokens"]),
        int(values["bins"]),
        float(values["sigma"]),
        bool(values["gradient"]),
        str(values["interpolation"]),
    )


def token_rows(
    features: PixelFeatures,
    labels: Tensor,
    counts: Tensor,
    max_tokens: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> Tensor:
    """As :func:`region_features`, from features and without checks."""
    size = token_size(bins, gradient=gradient)
    tokens = features.contrast.new_zeros(labels.shape[0], max_tokens, size)
    for index, count in enumerate(counts.tolist()):
        used = min(count, max_tokens)
        one = PixelFeatures(features.contrast[index], features.gradient[index])
        rows = _image_rows(one, labels[index].long(), used, bins, sigma, gradient, interpolation)
        tokens[index, :used] = rows.flatten(1)
    return tokens


def _image_rows(
    features: PixelFeatures,
    labels: Tensor,
    count: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> Tensor:
    """Rows [count, K, K, C] of the first ``count`` regions of one image; ``labels`` [H, W]."""
    colours = _resample(features.colour, labels, count, bins, interpolation == "nearest")
    y, x = positions(labels.shape[0], labels.shape[1], labels.device)
    pairs = [(y.view(-1, 1).expand(labels.shape), x.view(1, -1).expand(labels.shape))]
    if gradient:
        pairs.append((features.gradient[0], features.gradient[1]))
    histograms = [_joint_histogram(f, g, labels, count, bins, sigma) for f, g in pairs]
    return torch.cat([colours, *(h.unsqueeze(-1) for h in histograms)], dim=-1)


def _resample(colour: Tensor, labels: Tensor, count: int, bins: int, nearest: bool) -> Tensor:
    """Colours [count, K, K, 3] on a K x K grid over each region's bounding box, times how much of
    the sample belongs to the region."""
    width = labels.shape[1]
    row, row_next, row_part = _sample_positions(labels, 0, count, bins, nearest)
    column, column_next, column_part = _sample_positions(labels, 1, count, bins, nearest)
    flat, members = colour.flatten(1), labels.flatten()
    own = torch.arange(count, device=labels.device).view(-1, 1, 1)
    value = colour.new_zeros(3, count, bins, bins)
    mask = colour.new_zeros(count, bins, bins)
    for r, row_weight in ((row, 1.0 - row_part), (row_next, row_part)):
        for c, column_weight in ((column, 1.0 - column_part), (column_next, column_part)):
            place = r.unsqueeze(2) * width + c.unsqueeze(1)
            weight = row_weight.unsqueeze(2) * column_weight.unsqueeze(1)
            value = value + flat[:, place] * weight
            mask = mask + (members[place] == own) * weight
    return (value * mask).permute(1, 2, 3, 0)


def _sample_positions(
    labels: Tensor, axis: int, count: int, bins: int, nearest: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Along one axis, for each region and grid line [count, K]: the pixel before the sample, the
    one after it, and how far the sample lies between them, in [0, 1).

    low + a (high - low) / (K - 1) is split into whole and rest in integers.
    """
    size = labels.shape[axis]
    line = torch.arange(size, device=labels.device).view((-1, 1) if axis == 0 else (1, -1))
    line = line.expand(labels.shape).flatten()
    members = labels.flatten()
    inside = members < count
    low = torch.full((count,), size, device=labels.device)
    low = low.scatter_reduce(0, members[inside], line[inside], "amin").unsqueeze(1)
    high = torch.full((count,), -1, device=labels.device)
    high = high.scatter_reduce(0, members[inside], line[inside], "amax").unsqueeze(1)
    steps = bins - 1
    scaled = torch.arange(bins, device=labels.device) * (high - low)
    before = low + scaled // steps
    rest = scaled % steps
    if nearest:
        up = (2 * rest > steps) | ((2 * rest == steps) & (before % 2 == 1))
        before = before + up
        rest = torch.zeros_like(rest)
    after = torch.clamp(before + 1, max=size - 1)
    return before, after, exact.divide(rest.to(torch.float32), float(steps))


def _joint_histogram(
    f: Tensor, g: Tensor, labels: Tensor, count: int, bins: int, sigma: float
) -> Tensor:
    """Gaussian-kernel joint histograms [count, K, K] of two features [H, W] over each region."""
    order = torch.argsort(labels.flatten(), stable=True)
    sizes = torch.bincount(labels.flatten())[:count]
    order = order[: int(sizes.sum())]
    f_weights = _kernel_weights(f, bins, sigma).flatten(0, 1)[order]
    g_weights = _kernel_weights(g, bins, sigma).flatten(0, 1)[order]
    parts = sizes.tolist()
    sums = []
    for rows, columns in zip(
        torch.split(f_weights, parts), torch.split(g_weights, parts), strict=True
    ):
        # Whole numbers below 2^53: the matrix product is exact in whatever order it is computed.
        total = torch.zeros(bins, bins, dtype=torch.int64, device=f.device)
        for a, b in zip(torch.split(rows, _CHUNK), torch.split(columns, _CHUNK), strict=True):
            total += (a.t() @ b).to(torch.int64)
        sums.append(total)
    scaled = torch.stack(sums).to(torch.float32) * (4.0 / HISTOGRAM_ONE**2)
    return scaled / sizes.to(torch.float32).view(-1, 1, 1)


def _kernel_weights(f: Tensor, bins: int, sigma: float) -> Tensor:
    """exp(-((f - c_k) / sigma)^2 / 2) for every bin centre, [..., K]: whole numbers in float64."""
    centres = torch.tensor([-1.0 + (2 * k + 1) / bins for k in range(bins)], device=f.device)
    inverse = 1.0 / torch.tensor(sigma, dtype=torch.float32, device=f.device)
    t = (f.unsqueeze(-1) - centres) * inverse
    weight = exact.exp((t * t) * -0.5)
    return torch.floor(weight * HISTOGRAM_ONE + 0.5).to(torch.float64)
