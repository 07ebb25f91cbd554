"""What a vision toolbox offers for regions: their boxes, resampled.  Colours only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 16


def region_colours(images: Tensor, labels: Tensor, regions: int) -> Tensor:
    """The bounding box of every region, resampled to 16 x 16 colours: [regions, 3, 16, 16].

    ``images`` is uint8 [1, 3, H, W], ``labels`` int32 [1, H, W].  No contrast, no mask and no
    histograms: less than what a token row holds.
    """
    height, width = labels.shape[1:]
    flat = labels.view(-1).long()
    rows = torch.arange(height).view(-1, 1).expand(height, width).reshape(-1)
    columns = torch.arange(width).expand(height, width).reshape(-1)
    top, bottom = _extremes(flat, rows, regions)
    left, right = _extremes(flat, columns, regions)
    steps = torch.linspace(0, 1, BINS)
    y = (top.view(-1, 1) + (bottom - top).view(-1, 1) * steps) / max(height - 1, 1) * 2 - 1
    x = (left.view(-1, 1) + (right - left).view(-1, 1) * steps) / max(width - 1, 1) * 2 - 1
    shape = (regions, BINS, BINS)
    grid = torch.stack([x.view(-1, 1, BINS).expand(shape), y.view(-1, BINS, 1).expand(shape)], -1)
    # All boxes come from one image: as one tall grid it is read in place, not copied per region.
    sampled = F.grid_sample(
        images.float() / 255, grid.view(1, regions * BINS, BINS, 2), align_corners=True
    )
    return sampled.view(3, regions, BINS, BINS).transpose(0, 1)


def _extremes(flat: Tensor, values: Tensor, regions: int) -> tuple[Tensor, Tensor]:
    empty = torch.zeros(regions, dtype=values.dtype)
    low = empty.scatter_reduce(0, flat, values, "amin", include_self=False)
    return low, empty.scatter_reduce(0, flat, values, "amax", include_self=False)
