"""From images to token rows: a partition into regions, and one row of features per region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spit_edge.spit_ref.image_input import checked_images, dense_labels
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import superpixel_merge
from spit_edge.spit_ref.tessellation import (
    pca_tree_tessellation,
    square_tessellation,
    voronoi_tessellation,
)
from spit_edge.spit_ref.zoo import ModelConfig, Tessellation


@dataclass(frozen=True)
class Tokens:
    """Regions of a batch and their rows.

    rows    float32 [B, T, D], zero beyond ``counts``
    labels  int32 [B, H, W], the region of every pixel
    counts  int32 [B]
    """

    rows: Tensor
    labels: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Tokenizer:
    """A model's tokenizer.

    ``tessellation`` and ``seed`` matter to the models with random regions alone; a seed gives every
    image of a size the same regions.  ``merge`` and ``features`` are the definitions; other
    implementations with the same signatures can stand in for them.
    """

    config: ModelConfig
    tessellation: Tessellation = "voronoi"
    seed: int = 0
    merge: Callable[..., tuple[Tensor, Tensor]] = superpixel_merge
    features: Callable[..., Tensor] = region_features

    def regions(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Labels int32 [B, H, W] and counts int32 [B] of images [B, 3, H, W]."""
        config = self.config
        if config.tokenizer == "superpixel":
            return self.merge(
                images,
                levels=config.levels,
                compactness=config.compactness,
                final_threshold=config.final_threshold,
            )
        checked_images(images)
        batch, _, height, width = images.shape
        if config.tokenizer == "square":
            labels, counts = square_tessellation(height, width)
        elif self.tessellation == "voronoi":
            labels, counts = voronoi_tessellation(self.seed, height, width)
        else:
            labels, counts = pca_tree_tessellation(self.seed, height, width)
        labels, counts = labels.to(images.device), counts.to(images.device)
        return labels.expand(batch, -1, -1).contiguous(), counts.expand(batch).contiguous()

    def tokens(
        self, images: Tensor, *, labels: Tensor | None = None, max_tokens: int | None = None
    ) -> Tokens:
        """Tokens of images, on the model's own regions or on any integer label maps [B, H, W]."""
        regions, counts = self.regions(images) if labels is None else dense_labels(labels)
        config = self.config
        with torch.no_grad():
            rows = self.features(
                images,
                regions,
                counts,
                max_tokens=max_tokens,
                bins=config.bins,
                sigma=config.sigma,
                gradient=config.gradient,
                interpolation=config.interpolation,
            )
        return Tokens(rows, regions, counts)
