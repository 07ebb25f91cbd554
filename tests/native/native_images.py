"""Images to compare on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOLDENS = Path(__file__).parents[1] / "data" / "goldens" / "partitions.npz"


def golden_images() -> dict[str, NDArray[np.uint8]]:
    """Images [1, 3, H, W] of the golden partitions, by name."""
    with np.load(GOLDENS) as data:
        return {
            key.removesuffix("/image"): np.ascontiguousarray(data[key].transpose(2, 0, 1)[None])
            for key in data.files
            if key.endswith("/image")
        }
