"""Images to compare on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOLDENS = Path(__file__).parents[2] / "data" / "goldens" / "partitions.npz"


def golden_images() -> dict[str, NDArray[np.uint8]]:
    """Images [1, 3, H, W] of the golden partitions, by name."""
    with np.load(GOLDENS) as data:
        return {
            key.removesuffix("/image"): np.ascontiguousarray(data[key].transpose(2, 0, 1)[None])
            for key in data.files
            if key.endswith("/image")
        }


def strange_floats(
    rng: np.random.Generator, shape: tuple[int, ...], pixels: str
) -> NDArray[np.float32]:
    """Images of about the range of ``pixels``, with NaN, infinities and subnormal numbers."""
    scale = {"uint8": 255.0, "unit": 1.0, "imagenet": 2.0}[pixels]
    values = (rng.standard_normal(shape) * scale).astype(np.float32)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-41, 3e38], dtype=np.float32)
    drawn = rng.choice(special, shape)
    return np.where(rng.random(shape) < 0.1, drawn, values)
