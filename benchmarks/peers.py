"""Superpixels of OpenCV and scikit-image, set to give as many regions as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
