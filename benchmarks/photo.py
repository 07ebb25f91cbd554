"""The photographs that are measured on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.images import fitted_samples, load_fitted, sample_photos


def astronaut(size: int) -> NDArray[np.uint8]:
    """The astronaut, uint8 [size, size, 3]; beyond its 512 pixels enlarged."""
    return load_fitted(sample_photos()["astronaut"], size, size)


def batches(size: int) -> dict[str, NDArray[np.uint8]]:
    """All photographs by name, each as a batch uint8 [1, 3, size, size]."""
    return {name: batch_of(photo) for name, photo in fitted_samples(size, size).items()}


def batch_of(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 3] as a batch [1, 3, H, W]."""
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[np.newaxis])
