"""Images to test on: the photographs that come with the package, and images that are no fun."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from spit_edge.runtime.images import load_fitted, sample_photos


@cache
def photograph(name: str, height: int, width: int) -> Tensor:
    """``astronaut``, ``chelsea`` or ``coffee`` as uint8 [1, 3, height, width]."""
    pixels = load_fitted(sample_photos()[name], height, width)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).unsqueeze(0)


def flat(height: int, width: int, value: int = 77) -> Tensor:
    return torch.full((1, 3, height, width), value, dtype=torch.uint8)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    """Independent uniform pixels."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(generator.integers(0, 256, (1, 3, height, width), dtype=np.uint8))


def checkerboard(size: int, square: int) -> Tensor:
    """Black and white squares, ``size`` pixels each way."""
    line = torch.arange(size) // square
    cells = (line.view(-1, 1) + line) % 2 * 255
    return cells.to(torch.uint8).expand(1, 3, size, size).contiguous()


DEGENERATE: dict[str, Tensor] = {
    "flat": flat(64, 64),
    "black": flat(40, 56, 0),
    "white": flat(56, 40, 255),
    "pixel": noise(1, 1),
    "row": noise(1, 7),
    "column": noise(7, 1),
    "two_pixels": noise(1, 2),
    "checkerboard": checkerboard(224, 8),
    "fine_checkerboard": checkerboard(32, 1),
    "noise": noise(64, 64),
}
"""Ordinary input that an algorithm stumbles over."""
