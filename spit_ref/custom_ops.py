"""What the custom ops of an exported graph compute: the tokenizer on raw pixel values.

A graph cannot refuse its input, so NaN becomes 0 and values out of range are clipped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spit_edge.spit_ref.pixel_features import Pixels, pixel_features, unit_pixels, vertex_features
from spit_edge.spit_ref.region_features import token_rows
from spit_edge.spit_ref.superpixel_merge import merge_vertices


@torch.no_grad()
def superpixel_merge_op(
    images: Tensor, *, pixels: Pixels, levels: int, compactness: float, final_threshold: float
) -> tuple[Tensor, Tensor]:
    """images [B, 3, H, W] to labels int32 [B, H, W] and counts int32 [B]."""
    return merge_vertices(
        vertex_features(pixel_features(unit_pixels(images, pixels))),
        levels=levels,
        compactness=compactness,
        final_threshold=final_threshold,
    )


@torch.no_grad()
def region_features_op(
    images: Tensor,
    labels: Tensor,
    counts: Tensor,
    *,
    pixels: Pixels,
    max_tokens: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> Tensor:
    """images [B, 3, H, W] and dense labels to tokens float32 [B, max_tokens, D]."""
    features = pixel_features(unit_pixels(images, pixels))
    return token_rows(features, labels, counts, max_tokens, bins, sigma, gradient, interpolation)
