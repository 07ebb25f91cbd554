"""What others offer: superpixels of OpenCV and scikit-image, set to give as many regions as ours;
and the boxes of regions, resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.base.token_rows import BINS

Segment = Callable[[], NDArray[Any]]
TRIES = 4


def opencv_peers(photo: NDArray[np.uint8], regions: int) -> Iterator[tuple[str, Segment]]:
    """SEEDS with 4 iterations, SLIC and LSC with 10 and their step that joins stray pixels.

    ``photo`` is uint8 [H, W, 3]; its conversion to Lab is done here, not by what is measured.
    Raises ImportError.
    """
    from cv2 import COLOR_RGB2Lab, cvtColor, ximgproc

    height, width, channels = photo.shape
    lab: Any = cvtColor(photo, COLOR_RGB2Lab)

    def seeds(wanted: float) -> Segment:
        def run() -> NDArray[Any]:
            maker = ximgproc.createSuperpixelSEEDS(width, height, channels, round(wanted), 4)
            maker.iterate(lab, 4)
            labels: NDArray[Any] = maker.getLabels()
            return labels

        return run

    def by_side(create: Callable[[int], Any]) -> Callable[[float], Segment]:
        def set_to(wanted: float) -> Segment:
            side = max(2, round((height * width / wanted) ** 0.5))

            def run() -> NDArray[Any]:
                maker = create(side)
                maker.iterate(10)
                maker.enforceLabelConnectivity(25)
                labels: NDArray[Any] = maker.getLabels()
                return labels

            return run

        return set_to

    yield "OpenCV SEEDS", _tuned(seeds, regions)
    slic = by_side(lambda side: ximgproc.createSuperpixelSLIC(lab, ximgproc.SLIC, side))
    yield "OpenCV SLIC", _tuned(slic, regions)
    lsc = by_side(lambda side: ximgproc.createSuperpixelLSC(lab, side))
    yield "OpenCV LSC", _tuned(lsc, regions)


def skimage_peers(photo: NDArray[np.uint8], regions: int) -> Iterator[tuple[str, Segment]]:
    """SLIC with 10 iterations on a Lab image; Felzenszwalb's graphs on RGB.  Raises ImportError."""
    from skimage.color import rgb2lab
    from skimage.segmentation import felzenszwalb, slic

    lab = rgb2lab(photo)

    def slic_of(wanted: float) -> Segment:
        return lambda: slic(lab, n_segments=round(wanted), max_num_iter=10, convert2lab=False)

    def felzenszwalb_of(wanted: float) -> Segment:
        # Coarser with a larger scale: about as many regions as the scale is smaller.
        scale = photo.shape[0] * photo.shape[1] / wanted
        return lambda: felzenszwalb(photo, scale=scale, sigma=0.8, min_size=20)

    yield "scikit-image SLIC", _tuned(slic_of, regions)
    yield "scikit-image Felzenszwalb", _tuned(felzenszwalb_of, regions)


def count_regions(labels: NDArray[Any]) -> int:
    """How many different labels there are."""
    return len(np.unique(labels))


def _tuned(make: Callable[[float], Segment], regions: int) -> Segment:
    """``make`` takes a number of regions and gives about that many; the try that came nearest."""
    wanted, best, nearest = float(regions), make(regions), float("inf")
    for _ in range(TRIES):
        candidate = make(wanted)
        found = count_regions(candidate())
        if abs(found - regions) < nearest:
            best, nearest = candidate, abs(found - regions)
        if nearest <= 0.02 * regions:
            break
        wanted *= regions / found
    return best


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
