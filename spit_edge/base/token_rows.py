"""The size of a token row: three colours and joint histograms of a region, as bins x bins each."""

from __future__ import annotations

BINS = 16
"""Side of the grid that every region is resampled to, and bins per histogram axis."""
COLOURS = 3


def token_size(bins: int, *, gradient: bool) -> int:
    """Values of a row: colours, the histogram of positions and, if wanted, that of gradients."""
    return (COLOURS + 1 + gradient) * bins * bins
