"""Superpixels and region features: the native kernels against the reference and OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import plugins
from benchmarks.timing import Timing, time_in_turn
from runtime.images import fit_image, load_image
from runtime.sample_photos import sample_photos
from spit_ref import region_features, superpixel_merge

SIZES = (224, 512, 1024, 2048)
REFERENCE_SIZES = (224, 512)
"""The reference takes seconds at larger sizes."""
SIGMA = 0.05

Case = tuple[str, int, Timing]


def run(sizes: tuple[int, ...] = SIZES) -> list[Case]:
    """Timings by name and image side, on the astronaut photograph."""
    cases: list[Case] = []
    for size in sizes:
        photo = fit_image(load_image(sample_photos()["astronaut"]), size, size)
        timings = time_in_turn(_functions(photo), rounds=7)
        cases += [(name, size, timing) for name, timing in timings.items()]
    return cases


def _functions(photo: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    images = np.ascontiguousarray(photo.transpose(2, 0, 1)[None])
    labels, counts = plugins.superpixel_merge(images)
    functions: dict[str, Callable[[], object]] = {}
    for threads in (1, 2):
        functions[f"labels, {threads} threads"] = partial(
            plugins.superpixel_merge, images, threads=threads
        )
        functions[f"features, {threads} threads"] = partial(
            plugins.region_features, images, labels, counts, sigma=SIGMA, threads=threads
        )
    if photo.shape[0] in REFERENCE_SIZES:
        tensors = [torch.from_numpy(array) for array in (images, labels, counts)]
        functions["labels, reference"] = partial(superpixel_merge, tensors[0])
        functions["features, reference"] = partial(region_features, *tensors, sigma=SIGMA)
    functions |= _opencv(photo, int(counts[0]))
    return functions


def _opencv(photo: NDArray[np.uint8], regions: int) -> dict[str, Callable[[], object]]:
    """SEEDS with 4 iterations and SLIC with 10, set to about as many regions."""
    try:
        from cv2 import COLOR_RGB2Lab, cvtColor, ximgproc
    except ImportError:
        return {}
    height, width, channels = photo.shape
    lab: Any = cvtColor(photo, COLOR_RGB2Lab)
    side = round((height * width / regions) ** 0.5)

    def seeds() -> object:
        maker = ximgproc.createSuperpixelSEEDS(width, height, channels, regions, 4)
        maker.iterate(lab, 4)
        return maker.getLabels()

    def slic() -> object:
        maker = ximgproc.createSuperpixelSLIC(lab, ximgproc.SLIC, side)
        maker.iterate(10)
        return maker.getLabels()

    return {"labels, OpenCV SEEDS": seeds, "labels, OpenCV SLIC": slic}
